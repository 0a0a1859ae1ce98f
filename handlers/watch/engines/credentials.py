"""What the login to an API needs: a password that nobody else can read, and an authority."""

from __future__ import annotations

import os
import ssl
import stat

from ...errors import ConfigurationError, unreadable
from .answering import AnsweringSocket

LONGEST_PASSWORD = 1024
OTHERS = stat.S_IWGRP | stat.S_IRWXO


def trusting(ca: str) -> ssl.SSLContext:
    """Trust the certificates of a file and no others; raises ConfigurationError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.sslsocket_class = AnsweringSocket
    try:
        context.load_verify_locations(cafile=ca)
    except ssl.SSLError as error:
        raise ConfigurationError(f"{ca}: has no certificate in it", "see icinga.ca") from error
    except OSError as error:
        raise unreadable(f"{ca}:", error, "icinga.ca") from error
    return context


def _open_at_once(file: str, flags: int) -> int:
    # A FIFO would keep the start waiting for somebody who writes to it.
    return os.open(file, flags | os.O_NONBLOCK)


def password(file: str, owner: int | None = None) -> str:
    """Read the password of the API's user.

    Args:
        file: where it stands.
        owner: the user who may own the file, beside root; None for whoever runs this.

    Raises:
        ConfigurationError: it cannot be read, or others could read it too.
    """
    owner = os.geteuid() if owner is None else owner
    try:
        with open(file, "rb", opener=_open_at_once) as stream:
            found = os.fstat(stream.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise ConfigurationError(f"{file}: is no file", "see icinga.password_file")
            if found.st_uid not in (0, owner):
                raise ConfigurationError(f"{file}: belongs to somebody else", "chown it")
            if found.st_mode & OTHERS:
                raise ConfigurationError(f"{file}: others may read or change it", "chmod 600")
            text = stream.read(LONGEST_PASSWORD + 1)
    except OSError as error:
        raise unreadable(f"{file}:", error, "icinga.password_file") from error
    try:
        line = text.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{file}: is not text in UTF-8") from error
    if not line or len(text) > LONGEST_PASSWORD or not line.isprintable():
        raise ConfigurationError(f"{file}: must have one line, the password")
    return line
