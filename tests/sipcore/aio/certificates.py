"""Certificates for loopback servers, and TLS contexts that show them."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.lab.tls import Authority


def server_context(authority: Authority, directory: Path, *names: str, expired: bool = False) -> ssl.SSLContext:
    """A server's context with a certificate for ``names``."""
    directory.mkdir(parents=True, exist_ok=True)
    authority.issue(directory, names, expired=expired)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "server.pem", directory / "server.key")
    return context


def ca_file(authority: Authority, directory: Path) -> Path:
    """The authority's certificate in a file."""
    path = directory / "authority.pem"
    path.write_bytes(authority.pem)
    return path
