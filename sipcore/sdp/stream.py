"""One audio stream on both sides of an m-line: reading the peer's, writing ours (RFC 3264, 3605, 5761, 5888).

peer's m-line ─▶ Remote facts (address, direction, formats, ptime)  ┐
LocalMedia    ─▶ our m-line                                         ┴▶ MediaParameters
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sipcore.errors import Phrase, SipError
from sipcore.media import Codec, Direction, LocalMedia
from sipcore.sdp.formats import format_attributes
from sipcore.sdp.ice import ice_attributes
from sipcore.sdp.types import Attribute, MediaDescription, SessionDescription

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sipcore.sdp.types import Connection

MIN_PTIME_MS = 10
MAX_PTIME_MS = 60

_DIRECTIONS = {direction.value: direction for direction in Direction}
_UNSPECIFIED = ("0.0.0.0", "::")  # noqa: S104 - compared with, not bound
_NAME = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9-]+)*\.[A-Za-z][A-Za-z0-9-]*")
_RTCP = re.compile(r"(\d{1,5})(?:\s+IN\s+IP[46]\s+\S+)?\s*", re.ASCII)
_MILLISECONDS = re.compile(r"(\d{1,4})(?:\.\d*)?\s*", re.ASCII)


class Unacceptable(SipError):
    """An offer or answer cannot be agreed to; nothing was changed.

    ``status`` is the response an offer gets (RFC 3261 §21.4.26), ``warning_code`` that of its Warning (§20.43);
    the message is a sentence fit for a user and for the Warning's text.
    """

    status = 488

    def __init__(self, message: str, *, warning_code: int = 304) -> None:
        super().__init__(message)
        self.warning_code = warning_code


@dataclass(frozen=True, slots=True)
class RemoteTransport:
    """Where a stream is to be sent; ``address`` may be a name. ``silenced``: the legacy hold, ``c=0.0.0.0``."""

    address: str
    rtp_port: int
    rtcp_port: int
    silenced: bool


def read_transport_untrusted(
    description: SessionDescription, media: MediaDescription, *, rtcp_mux: bool, local_address: str | None
) -> RemoteTransport:
    """Address and ports of the peer. Raises :class:`Unacceptable` for one that can never be sent to, or where
    ``local_address`` is given, not from there."""
    connection = description.connection_of(media)
    if connection is None:
        raise Unacceptable(Phrase("The far end gave no media address."), warning_code=301)
    address, version = _host(connection)
    if local_address is not None and version != (6 if ":" in local_address else 4) and address not in _UNSPECIFIED:
        raise Unacceptable(Phrase("The far end uses another IP version for media than we do."), warning_code=300)
    return RemoteTransport(
        address,
        media.port,
        media.port if rtcp_mux else _rtcp_port(media),
        # RFC 3264 §8.4: "An agent MUST be capable of receiving SDP with a connection address of 0.0.0.0, in which case
        # it means that neither RTP nor RTCP should be sent to the peer." With ICE it only means that no candidate is
        # known yet.
        silenced=address in _UNSPECIFIED and not _uses_ice(description, media),
    )


def _host(connection: Connection) -> tuple[str, int]:
    """The address or name (RFC 8866 §5.7 allows one) and its IP version."""
    try:
        address = ipaddress.ip_address(connection.address)
    except ValueError:
        if _NAME.fullmatch(connection.address) is None:
            raise Unacceptable(Phrase("The far end's media address is not an IP address."), warning_code=301) from None
        return connection.address, 6 if connection.address_type == "IP6" else 4
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id is not None:
        raise Unacceptable(Phrase("The far end's media address holds on its own link only."), warning_code=301)
    if address.is_multicast or address == ipaddress.IPv4Address("255.255.255.255"):
        raise Unacceptable(Phrase("The far end's media address is not that of one machine."), warning_code=301)
    return str(address), address.version


def _rtcp_port(media: MediaDescription) -> int:
    value = media.value("rtcp")
    if value is not None and (match := _RTCP.fullmatch(value)) and 0 < int(match[1]) < 65_536:
        return int(match[1])
    return min(media.port + 1, 65_535)


def _uses_ice(description: SessionDescription, media: MediaDescription) -> bool:
    return media.has("ice-ufrag") or description.has("ice-ufrag")


def read_direction_untrusted(description: SessionDescription, media: MediaDescription) -> Direction:
    """The peer's direction, from the peer's point of view (RFC 3264 §5.1: media level, session level, sendrecv)."""
    for level in (media, description):
        for attribute in level.attributes:
            if attribute.name in _DIRECTIONS:
                return _DIRECTIONS[attribute.name]
    return Direction.SENDRECV


def allowed_direction(remote: Direction, *, silenced: bool) -> Direction:
    """The most we may do with a stream of that direction, from our point of view."""
    return Direction.of(sends=remote.receives and not silenced, receives=remote.sends)


def meet(first: Direction, second: Direction) -> Direction:
    """What both, seen from one side, allow."""
    return Direction.of(sends=first.sends and second.sends, receives=first.receives and second.receives)


def read_ptime_untrusted(media: MediaDescription, default_ms: int) -> int:
    """The packet time the peer wants, cut to what we send and to its maxptime (RFC 3264 §5.1, RFC 8866 §6.4)."""
    wanted = _milliseconds(media.value("ptime")) or default_ms
    if maximum := _milliseconds(media.value("maxptime")):
        wanted = min(wanted, maximum)
    return max(MIN_PTIME_MS, min(wanted, MAX_PTIME_MS))


def _milliseconds(value: str | None) -> int | None:
    match = _MILLISECONDS.fullmatch(value) if value is not None else None
    return int(match[1]) if match else None


def bundled(description: SessionDescription, mid: str | None) -> bool:
    """Whether ``mid`` is in a BUNDLE group (RFC 9143 §5)."""
    if mid is None:
        return False
    groups = (value.split() for value in description.values("group"))
    return any(tags and tags[0] == "BUNDLE" and mid in tags[1:] for tags in groups)


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalStream:
    """Everything our m-line says."""

    local: LocalMedia
    protocol: str
    codecs: Sequence[Codec]
    direction: Direction
    rtcp_mux: bool
    security: tuple[Attribute, ...] = ()
    mid: str | None = None
    ice: bool = False
    rtcp_mux_agreed: bool = False

    def describe(self) -> MediaDescription:
        """The m-line with its attributes; the connection is the session's."""
        return MediaDescription(
            media="audio",
            port=self.local.rtp_port,
            protocol=self.protocol,
            formats=tuple(str(codec.payload_type) for codec in self.codecs),
            attributes=tuple(self._attributes()),
        )

    def _attributes(self) -> Iterator[Attribute]:
        local = self.local
        yield from format_attributes(self.codecs)
        yield Attribute("ptime", str(local.ptime_ms))
        yield Attribute(self.direction.value)
        if self.mid is not None:
            yield Attribute("mid", self.mid)
        if local.rtcp_port != local.rtp_port + 1:
            # RFC 3605 §2.1; beside rtcp-mux it is the port for a peer that does not multiplex (RFC 5761 §5.1.1).
            yield Attribute("rtcp", str(local.rtcp_port))
        if self.rtcp_mux:
            yield Attribute("rtcp-mux")
        yield from self.security
        if self.ice:
            yield from ice_attributes(local, rtcp_mux_agreed=self.rtcp_mux_agreed)
        if local.ssrc is not None and local.cname is not None:
            yield Attribute("ssrc", f"{local.ssrc} cname:{local.cname}")


def rejected(media: MediaDescription) -> MediaDescription:
    """The answer to an m-line we do not want: port 0, the formats kept since one must be there (RFC 3264 §6)."""
    mid = tuple(attribute for attribute in media.attributes if attribute.name == "mid")[:1]
    return MediaDescription(
        media=media.media, port=0, protocol=media.protocol, formats=media.formats[:1], attributes=mid
    )
