"""ICE in a description: credentials and candidates (RFC 8839 §5), ours being the one host address of the stream."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING

from sipcore.media import IceCandidate, IceCredentials, IceRemote, LocalMedia
from sipcore.sdp.types import Attribute

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sipcore.sdp.types import MediaDescription, SessionDescription

RTP, RTCP = 1, 2
_MAX_CANDIDATES = 20
# RFC 8445 §5.1.2.1 for a host candidate of the only address: type preference 126, local preference 65535.
_HOST_PRIORITY = (126 << 24) | (65_535 << 8)

_UFRAG = re.compile(r"[A-Za-z0-9+/]{4,256}", re.ASCII)
_PASSWORD = re.compile(r"[A-Za-z0-9+/]{22,256}", re.ASCII)
_CANDIDATE = re.compile(
    r"[A-Za-z0-9+/]{1,32} ([12]) [Uu][Dd][Pp] (\d{1,10}) (\S{1,64}) (\d{1,5}) typ [a-z0-9-]{1,32}(?: .*)?", re.ASCII
)


def host_priority(component: int) -> int:
    """The priority of our candidate for a component."""
    return _HOST_PRIORITY | (256 - component)


def read_ice_untrusted(
    description: SessionDescription, media: MediaDescription, local_address: str
) -> IceRemote | None:
    """The peer's ICE, or None where it has none or not enough of it.

    Candidates of another transport or IP version than ours are left out, and so are names: they hide addresses
    (RFC 8839 §5.1 allows an agent to ignore them) and show themselves by their checks.
    """
    credentials = _credentials(description, media)
    if credentials is None:
        return None
    version = ipaddress.ip_address(local_address).version
    candidates: list[IceCandidate] = []
    for value in media.values("candidate"):
        match = _CANDIDATE.fullmatch(value)
        if match is None or len(candidates) >= _MAX_CANDIDATES:
            continue
        component, priority, address, port = int(match[1]), int(match[2]), match[3], int(match[4])
        if 0 < port < 65_536 and 0 < priority < 1 << 32 and _usable(address, version):
            candidates.append(IceCandidate(component, address, port, priority))
    return IceRemote(credentials, tuple(candidates), lite=description.has("ice-lite"))


def _usable(address: str, version: int) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return parsed.version == version and not (parsed.is_multicast or parsed.is_unspecified) and "%" not in address


def _credentials(description: SessionDescription, media: MediaDescription) -> IceCredentials | None:
    for level in (media, description):
        ufrag, password = level.value("ice-ufrag"), level.value("ice-pwd")
        if ufrag is not None and password is not None and _UFRAG.fullmatch(ufrag) and _PASSWORD.fullmatch(password):
            return IceCredentials(ufrag, password)
    return None


def ice_attributes(local: LocalMedia, *, rtcp_mux_agreed: bool) -> Iterator[Attribute]:
    """Our lines; RTCP has a candidate of its own unless it is known to be multiplexed (RFC 5761 §5.1.3)."""
    if local.ice is None:
        return
    yield Attribute("ice-ufrag", local.ice.ufrag)
    yield Attribute("ice-pwd", local.ice.password)
    ports = {RTP: local.rtp_port} if rtcp_mux_agreed else {RTP: local.rtp_port, RTCP: local.rtcp_port}
    for component, port in ports.items():
        priority = host_priority(component)
        yield Attribute("candidate", f"1 {component} UDP {priority} {local.address} {port} typ host")
    yield Attribute("end-of-candidates")
