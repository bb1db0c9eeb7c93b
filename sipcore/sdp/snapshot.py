"""What is kept of an agreed negotiation, to go on with it in another process: both descriptions, no key (RFC 3264 §8).

OfferAnswer ── snapshot ──▶ journal ── restored ──▶ OfferAnswer, with media of its own
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from sipcore.errors import ParseError
from sipcore.sdp.agreement import OurSide, extended
from sipcore.sdp.formats import read_codecs_untrusted
from sipcore.sdp.parse import parse
from sipcore.sdp.security import Keying, profile_of
from sipcore.sdp.stream import read_direction_untrusted

if TYPE_CHECKING:
    from sipcore.media import LocalMedia
    from sipcore.sdp.types import Attribute, MediaDescription, SessionDescription

KeyingName = Literal["none", "dtls", "sdes"]

_SECRETS = ("crypto", "ice-pwd", "key-mgmt")
_NAMES: dict[Keying, KeyingName] = {Keying.NONE: "none", Keying.DTLS: "dtls", Keying.SDES: "sdes"}
_MAX_VERSION = 2**63


@dataclass(frozen=True, slots=True, kw_only=True)
class NegotiationSnapshot:
    """An agreed round. The descriptions are as they were sent but for the lines that hold keys."""

    local_sdp: str
    remote_sdp: str
    version: int
    """Of the last description of ours that may have been seen, a pending offer's included."""

    address: str
    """Of our media, and its port."""

    rtp_port: int
    remote_address: str
    """An address or a name."""

    keying: KeyingName


def snapshot_of(ours: OurSide, theirs: SessionDescription, version: int, remote_address: str) -> NegotiationSnapshot:
    """What to keep of an agreement."""
    return NegotiationSnapshot(
        local_sdp=_text(ours.description),
        remote_sdp=_text(theirs),
        version=version,
        address=ours.local.address,
        rtp_port=ours.local.rtp_port,
        remote_address=remote_address,
        keying=_NAMES[ours.keying],
    )


def recall_untrusted(kept: NegotiationSnapshot, local: LocalMedia) -> tuple[OurSide, SessionDescription]:
    """Our side, with ``local`` for the media that is gone, and theirs. Raises ParseError."""
    description = parse(kept.local_sdp.encode())
    theirs = parse(kept.remote_sdp.encode())
    if not 0 <= kept.version < _MAX_VERSION:
        raise ParseError("the version of the description is no number it could have")
    origin = replace(description.origin, session_version=kept.version)
    index, media = _audio(description)
    keying = next(keying for keying, name in _NAMES.items() if name == kept.keying)
    profile = profile_of(media)
    if profile is None or (profile.dtls or profile.sdes) != (keying is not Keying.NONE):
        raise ParseError("the protection kept does not fit the description")
    codecs = read_codecs_untrusted(media)
    ours = OurSide(
        description=replace(description, origin=origin),
        index=index,
        local=local,
        codecs=codecs,
        direction=read_direction_untrusted(description, media),
        keying=keying,
        rtcp_mux=media.has("rtcp-mux"),
        ice=media.has("ice-ufrag"),
        history=extended({}, codecs),
    )
    return ours, theirs


def _audio(description: SessionDescription) -> tuple[int, MediaDescription]:
    for index, media in enumerate(description.media):
        if media.media == "audio" and media.port != 0:
            return index, media
    raise ParseError("the description kept has no audio")


def _text(description: SessionDescription) -> str:
    public = replace(
        description,
        attributes=_public(description.attributes),
        media=tuple(replace(media, attributes=_public(media.attributes)) for media in description.media),
    )
    return bytes(public).decode()


def _public(attributes: tuple[Attribute, ...]) -> tuple[Attribute, ...]:
    return tuple(attribute for attribute in attributes if attribute.name not in _SECRETS)
