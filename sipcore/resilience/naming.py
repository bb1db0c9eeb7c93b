"""Names: Via's sent-by and our Contact on a flow, a server redirected to (RFC 3261 §8.1.1, §8.1.3.4; RFC 7118 §5.2).

A Contact registered is not always the one that dialogs name (RFC 5626 §4.3, RFC 5627 §4.4).
"""

from __future__ import annotations

from sipcore.config import ServerAddress
from sipcore.message.uri import Uri


def names_on(
    server: ServerAddress, username: str, local_address: tuple[str, int], invalid_host: str
) -> tuple[str, Uri]:
    """Via's sent-by, and the Contact URI, on a flow to ``server`` whose near end is ``local_address``."""
    user = Uri(scheme="sip", host="invalid").with_user(username).user
    if server.websocket:
        # RFC 7118 §5.2: a random .invalid name, and "ws" as transport parameter for both WS and WSS.
        uri = Uri(scheme="sip", user=user, host=invalid_host).with_param("transport", "ws")
        return invalid_host, uri
    host, port = local_address
    host = f"[{host}]" if ":" in host else host
    uri = Uri(scheme="sip", user=user, host=host, port=port).with_param("transport", server.scheme)
    return f"{host}:{port}", uri


def named_in_dialogs(contact: Uri, pub_gruu: Uri | None) -> Uri:
    """Our Contact in dialogs where outbound is confirmed: a name for whatever flow there is, or one for this flow.

    RFC 5626 §4.3: "the UA adds an 'ob' parameter to its Contact" where it has no GRUU and wants the requests of the
    dialog "to arrive over the same flow".
    """
    return contact.with_param("ob") if pub_gruu is None else pub_gruu


def redirected(server: ServerAddress, target: Uri) -> ServerAddress:
    """The server a 3xx names, of the kind of the one that sent it."""
    port = server.port if target.port is None else target.port
    given = target.port is not None or server.port_given
    return ServerAddress(server.scheme, target.host, port, server.path, port_given=given)
