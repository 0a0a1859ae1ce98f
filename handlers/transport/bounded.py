"""paramiko's Transport, for peers that may send anything."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from socket import socket

from .lean_paramiko import BufferedPipe, Packetizer, paramiko

# While a key is computed no other thread runs. Some let sshd exchange keys anew each hour, or after
# each gigabyte. One more is that of the login, and one may be ours.
MOST_EXCHANGES = 4
EXCHANGES_SECONDS = 60.0
# The group of this exchange is of the server's choice. To compute with the largest takes a second.
DEAR_EXCHANGES = ("diffie-hellman-group-exchange-sha256", "diffie-hellman-group-exchange-sha1")
# sshd sends up to four.
MOST_EXTENSIONS = 100
# The largest window of SSH (RFC 4254, section 5.2): at 1 kB a second it lasts for 50 days.
LARGEST_WINDOW = 2**32 - 1
LARGEST_ERROR_OUTPUT = 4096
# A peer need not say that it has closed a tunnel, and so many at most are kept until then.
MOST_WAYS = 10_000
# It is given the size of a packet, and says whether to keep it.
Hear = Callable[[int], bool]
# Is given what comes, and no bytes at the end. It must not wait for anything.
Take = Callable[[bytes], None]


class _UntimedPacketizer(Packetizer):
    """Leaves the time limit of the key exchange to whoever has begun the login.

    paramiko's own is a thread for each connection.
    """

    def start_handshake(self, timeout: float) -> None:
        """Start no thread."""


class _ChannelsSeen(dict[int, bool]):
    """Knows which channels there have been, by the number of the last.

    paramiko remembers each of them as long as the connection lasts, which may be for months.
    """

    _last = -1

    def __setitem__(self, number: int, _seen: bool, /) -> None:
        self._last = max(self._last, number)

    def __contains__(self, number: object, /) -> bool:
        return isinstance(number, int) and number <= self._last


class BoundedTransport(paramiko.Transport):
    """Ends with one of the errors of SSH, whatever it is that the peer has sent."""

    _exchanged: tuple[float, ...] = ()

    def __init__(self, sock: socket, disabled_algorithms: dict[str, list[str]]) -> None:
        """Take a connected socket, and the algorithms of each kind that are not offered."""
        super().__init__(
            sock,
            disabled_algorithms=disabled_algorithms,
            packetizer_class=_UntimedPacketizer,
        )
        self.channels_seen = _ChannelsSeen()
        self._ways: dict[int, paramiko.Channel] = {}

    @property
    def preferred_ciphers(self) -> tuple[str, ...]:
        """The ciphers, those first that authenticate each packet by themselves.

        paramiko compares the checksums of all others byte by byte, which is half of the CPU that a
        packet costs.
        """
        every: tuple[str, ...] = self._filter_algorithm("ciphers")  # type: ignore[attr-defined]
        return tuple(sorted(every, key=lambda name: "-gcm@" not in name))

    def open_way(
        self, to: tuple[str, int], most: int, timeout: float, hear: Hear
    ) -> paramiko.Channel:
        """Open a tunnel to another host, which keeps so many bytes.

        ``hear`` is given the size of each packet, by the thread of the connection, and says whether
        to keep it: until the peer has closed the tunnel, since until then packets may be under way.
        A tunnel has no error output, which the peer may send all the same.

        Raises:
            paramiko.SSHException: as `open_channel` does, and where the host is not reached.
        """
        here = ("127.0.0.1", 0)
        channel = self.open_channel("direct-tcpip", to, here, window_size=most, timeout=timeout)
        channel.in_stderr_buffer = _Pipe(0)
        keep = channel.in_buffer.feed

        def feed(data: bytes) -> None:
            if hear(len(data)):
                keep(data)

        # The first packets may be in the pipe already, and so it stays the same pipe.
        channel.in_buffer.feed = feed  # type: ignore[method-assign]
        # paramiko forgets a channel that nobody refers to.
        self._ways[channel.chanid] = channel
        if len(self._ways) > MOST_WAYS:
            self._ways.pop(next(iter(self._ways)), None)
        return channel

    def _unlink_channel(self, chanid: int) -> None:
        self._ways.pop(chanid, None)
        super()._unlink_channel(chanid)  # type: ignore[misc]

    def close(self) -> None:
        """End the connection."""
        super().close()
        self._ways.clear()

    def _negotiate_keys(self, m: paramiko.Message) -> None:
        now = time.monotonic()
        late = [at for at in self._exchanged if now - at < EXCHANGES_SECONDS]
        self._exchanged = (*late, now)
        if len(self._exchanged) > MOST_EXCHANGES:
            raise paramiko.SSHException("it exchanges keys again and again")
        super()._negotiate_keys(m)  # type: ignore[misc]

    def get_exception(self) -> Exception | None:
        """Give what ended the connection, once.

        A message that makes no sense ends paramiko's thread by an exception of any kind, such as a
        KeyError. paramiko hands that on to whoever waits for a reply.
        """
        error = super().get_exception()
        if error is None or isinstance(error, paramiko.SSHException | EOFError | OSError):
            return error
        return paramiko.SSHException(f"it sent what makes no sense: {error!r}")

    def _parse_ext_info(self, msg: paramiko.Message) -> None:
        # paramiko would believe the number, and read past the end of the message for hours.
        if msg.get_int() > MOST_EXTENSIONS:
            raise paramiko.SSHException("it announced too many extensions")
        msg.rewind()
        super()._parse_ext_info(msg)  # type: ignore[misc]

    def _parse_debug(self, m: paramiko.Message) -> None:
        # sshd says which options the key has. paramiko would log that, byte by byte, and nobody
        # reads its log.
        pass

    def _parse_disconnect(self, m: paramiko.Message) -> None:
        # paramiko only logs why the peer disconnects.
        m.get_int()
        self.saved_exception = paramiko.SSHException(f"it disconnected: {m.get_text()}")


class _Pipe(BufferedPipe):  # type: ignore[type-arg]
    """Keeps so many bytes, and drops what comes beyond them."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def feed(self, data: bytes | str) -> None:
        """Take data from the connection."""
        if len(self) + len(data) <= self._most:
            super().feed(data)


class _Ear(BufferedPipe):  # type: ignore[type-arg]
    """Keeps nothing, and hands on what comes; it is called by the thread of the connection."""

    def __init__(self, take: Take) -> None:
        super().__init__()
        self._take = take
        self._ended = False

    def feed(self, data: bytes | str) -> None:
        """Take data from the connection."""
        if not self._ended:
            self._take(data if isinstance(data, bytes) else data.encode())

    def close(self) -> None:
        """Take note that nothing more comes, once."""
        super().close()
        if not self._ended:
            self._ended = True
            self._take(b"")


def open_channel(transport: paramiko.Transport, most: int, timeout: float) -> paramiko.Channel:
    """Open a channel that keeps so many bytes of each stream, whatever the peer sends.

    Raises:
        paramiko.SSHException: it is refused, or not opened in time.
    """
    channel = transport.open_session(window_size=most, timeout=timeout)
    channel.in_buffer, channel.in_stderr_buffer = _Pipe(most), _Pipe(most)
    return channel


def open_ear(transport: paramiko.Transport, timeout: float, take: Take) -> paramiko.Channel:
    """Open a channel whose standard output is handed on as it comes; raises as open_channel does.

    The peer may send so much that the window never has to be made larger, which would be a message
    from the thread that reads. Whoever hears bounds what is kept.
    """
    channel = transport.open_session(window_size=LARGEST_WINDOW, timeout=timeout)
    channel.in_buffer, channel.in_stderr_buffer = _Ear(take), _Pipe(LARGEST_ERROR_OUTPUT)
    return channel


def send_input(channel: paramiko.Channel, data: bytes) -> None:
    """Send a command its whole standard input, and end that.

    The command may have ended by itself, and then it is sent nothing more: the gate refuses, say,
    before it reads. paramiko lets go of a channel before it sends. So its thread may close the
    channel in between, and sshd ends the connection where it then hears of an input or its end:
    with all other commands, and all streams. Here the channel is kept until that is sent. Where
    keys are exchanged at that moment, this may take paramiko's own time limit.
    """
    transport = channel.get_transport()
    with channel.lock:
        while data and not channel.closed:
            # It is 0 where the channel is closed meanwhile.
            size = channel._wait_for_send_window(len(data))  # type: ignore[attr-defined]  # noqa: SLF001
            if size:
                message = paramiko.Message()
                message.add_byte(paramiko.common.cMSG_CHANNEL_DATA)
                message.add_int(channel.remote_chanid)
                message.add_string(data[:size])
                transport._send_user_message(message)  # type: ignore[attr-defined]  # noqa: SLF001
            data = data[size:]
        end = None if channel.closed else channel._send_eof()  # type: ignore[attr-defined]  # noqa: SLF001
        if end:
            transport._send_user_message(end)  # type: ignore[attr-defined]  # noqa: SLF001


def close_channel(channel: paramiko.Channel) -> None:
    """Close a channel, and drop what has come on it and what may still come.

    The objects of a connection refer to one another, so that they and what they keep would stay
    until the garbage collector runs.
    """
    # Closing a channel sends a message, which fails where the peer has gone.
    with suppress(paramiko.SSHException, EOFError, OSError):
        channel.close()
    channel.in_buffer = channel.in_stderr_buffer = empty = _Pipe(0)
    empty.close()
