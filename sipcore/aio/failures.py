"""Why a connection failed, as one plain sentence with the next step.

OSError, SSLError, WebSocket errors ──▶ describe ──▶ "Connection refused by pbx:8089: ..."
"""

from __future__ import annotations

import errno
import ssl
from typing import TYPE_CHECKING

from sipcore.errors import Phrase, TransportError

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
            return Phrase(
                "{where} does not speak TLS as expected ({why}): check scheme and port.",
                where=where,
                why=error.reason or Phrase("handshake failed"),
            )
        case TimeoutError():
            return Phrase("No answer from {where}: check address, port and firewall.", where=where)
        case ConnectionRefusedError():
            return Phrase(
                "Connection refused by {where}: nothing listens there; check the port, or wait until the PBX is up.",
                where=where,
            )
        case ConnectionResetError() | BrokenPipeError() | ConnectionAbortedError() | EOFError():
            return Phrase("{where} closed the connection.", where=where)
        case OSError(errno=number) if number in _UNREACHABLE:
            return Phrase("No route to {where}: check the network connection.", where=where)
        case OSError():
            return Phrase("Connection to {where} failed: {why}.", where=where, why=error.strerror or str(error))
        case _:
            return Phrase("Connection to {where} failed: {why}.", where=where, why=str(error))


def _certificate(error: ssl.SSLCertVerificationError, server: ServerAddress) -> str:
    code = error.verify_code
    if code in _UNKNOWN_ISSUER:
        return Phrase(
            "The certificate of {host} is signed by an authority this machine does not know: "
            "set tls_ca to the authority's file.",
            host=server.host,
        )
    if code == _EXPIRED:
        return Phrase("The certificate of {host} has expired: it must be renewed on the PBX.", host=server.host)
    if code == _NOT_YET_VALID:
        return Phrase("The certificate of {host} is not valid yet: check the clock of this machine.", host=server.host)
    if code in _WRONG_NAME:
        return Phrase(
            "The certificate shown is not for {host}: use the name the certificate was issued for.", host=server.host
        )
    return Phrase(
        "The certificate of {host} was refused: {why}.",
        host=server.host,
        why=error.verify_message or str(error.reason),
    )
