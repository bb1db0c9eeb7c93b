"""Why a connection failed, as one plain sentence with the next step.

OSError, SSLError, WebSocket errors ──▶ describe ──▶ "Connection refused by pbx:8089: ..."
"""

from __future__ import annotations

import errno
import ssl
from typing import TYPE_CHECKING

from sipcore.errors import TransportError

if TYPE_CHECKING:
    from sipcore.config import ServerAddress

# OpenSSL's X509_V_ERR_* numbers (x509_vfy.h).
_NOT_YET_VALID, _EXPIRED = 9, 10
_UNKNOWN_ISSUER = frozenset({2, 18, 19, 20, 21, 27})
_WRONG_NAME = frozenset({62, 63, 64})

_UNREACHABLE = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN})


def describe(error: BaseException, server: ServerAddress) -> str:
    """The sentence for an error met while connecting to ``server``, or while connected."""
    where = f"{server.host}:{server.port}"
    match error:
        case TransportError():
            return str(error)
        case ssl.SSLCertVerificationError():
            return _certificate(error, server)
        case ssl.SSLError():
            return (
                f"{where} does not speak TLS as expected ({error.reason or 'handshake failed'}): check scheme and port."
            )
        case TimeoutError():
            return f"No answer from {where}: check address, port and firewall."
        case ConnectionRefusedError():
            return f"Connection refused by {where}: nothing listens there; check the port, or wait until the PBX is up."
        case ConnectionResetError() | BrokenPipeError() | ConnectionAbortedError() | EOFError():
            return f"{where} closed the connection."
        case OSError(errno=number) if number in _UNREACHABLE:
            return f"No route to {where}: check the network connection."
        case OSError():
            return f"Connection to {where} failed: {error.strerror or error}."
        case _:
            return f"Connection to {where} failed: {error}."


def _certificate(error: ssl.SSLCertVerificationError, server: ServerAddress) -> str:
    code = error.verify_code
    if code in _UNKNOWN_ISSUER:
        return (
            f"The certificate of {server.host} is signed by an authority this machine does not know: "
            f"set tls_ca to the authority's file."
        )
    if code == _EXPIRED:
        return f"The certificate of {server.host} has expired: it must be renewed on the PBX."
    if code == _NOT_YET_VALID:
        return f"The certificate of {server.host} is not valid yet: check the clock of this machine."
    if code in _WRONG_NAME:
        return f"The certificate shown is not for {server.host}: use the name the certificate was issued for."
    return f"The certificate of {server.host} was refused: {error.verify_message or error.reason}."
