"""The exceptions of the checks. Only a `CheckError` may get as far as the exit boundary."""


class CheckError(Exception):
    """The check itself is in trouble and cannot tell; it ends in UNKNOWN with this text."""


class NotStartedError(CheckError):
    """A program could not be started, because it is missing here or must not be run."""


class ProgramTimeoutError(CheckError):
    """A program did not end in time; whether it has done its work is not known."""


class RoutingUnreadableError(CheckError):
    """The routing daemon gave no answer, or an incomplete one."""


class OtherDaemonError(RoutingUnreadableError):
    """The routing daemon that was asked does not know the question; it may be of an older kind."""


class NoDaemonError(RoutingUnreadableError):
    """The routing daemon that was asked does not run here, or has nothing to do there."""


class CountUnknownError(CheckError):
    """The link-state database of one area does not show every router that announces a VIP."""


class NotLocalError(Exception):
    """The address is not on this host; nothing was sent, because another host would answer."""


class PeerFailedError(Exception):
    """The peer refused, dropped or cut short the conversation, so the sample fails."""


class NotTheAnswerError(Exception):
    """The bytes that came are not the answer to the question that was asked."""


class PeerSilentError(Exception):
    """The peer sent nothing within the time limit of one try, so the sample fails."""
