"""What we are called on a flow: Via's sent-by and our Contact (RFC 3261 §8.1.1.7, §8.1.1.8; RFC 7118 §5.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipcore.message.uri import Uri

if TYPE_CHECKING:
    from sipcore.config import ServerAddress


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
