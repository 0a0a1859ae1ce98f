"""What the checks raise when they themselves could not do something."""


class CheckError(Exception):
    """The check is in trouble, so it cannot tell: UNKNOWN, with this text."""


class NotStartedError(CheckError):
    """A program cannot be run here."""


class ProgramTimeoutError(CheckError):
    """A program did not end in its time; it may have had its effect all the same."""


class RoutingUnreadableError(CheckError):
    """The routing daemon gave no answer, or not all of one."""


class OtherDaemonError(RoutingUnreadableError):
    """The routing daemon that was asked is not there: another kind is to be asked."""


class CountUnknownError(CheckError):
    """The link-state database of one area does not show everyone who announces a VIP."""


class NotLocalError(Exception):
    """The address is not on this host: nothing was asked, somebody else would have answered."""


class PeerFailedError(Exception):
    """The peer refused, dropped or cut short the conversation: a failing sample."""


class NotTheAnswerError(Exception):
    """The bytes do not answer the question that was asked."""


class PeerSilentError(Exception):
    """The peer said nothing within the time of one try."""
