"""What the checks raise when they themselves could not do something."""


class CheckError(Exception):
    """The check is in trouble, so it cannot tell: UNKNOWN, with this text."""


class NotStartedError(CheckError):
    """A program cannot be run here."""


class OspfUnreadableError(CheckError):
    """What vtysh said about OSPF is no answer, or not all of one."""


class NoOspfJsonError(OspfUnreadableError):
    """There is no JSON about OSPF here, as with Quagga and older FRR."""


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
