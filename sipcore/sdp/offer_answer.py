"""Offer and answer for a call of one audio stream (RFC 3264), with what RFC 3261 §14 asks of re-INVITEs.

    STABLE ──create_offer, unchanged_offer──▶ LOCAL_OFFER ──receive_answer──▶ STABLE
       └─────receive_offer──▶ REMOTE_OFFER ──create_answer──▶ STABLE
    LOCAL_OFFER, REMOTE_OFFER ──rollback──▶ STABLE, exactly as before

What is agreed and what is pending are separate immutable values: a failure or a rollback cannot half-change anything.
"""

from __future__ import annotations

import copy
import enum
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from sipcore.errors import LocalProtocolError, ParseError, Phrase
from sipcore.media import DEFAULT_CODECS, Codec, Direction, DtlsSetup, LocalMedia, MediaParameters, Profile
from sipcore.sdp.agreement import AudioOffer, OurSide, answer_to, extended, find_audio, outcome_of, recalled
from sipcore.sdp.formats import format_key, numbered
from sipcore.sdp.parse import parse
from sipcore.sdp.security import SDES_SUITES, Keying, crypto_attribute, dtls_attributes, read_crypto_untrusted
from sipcore.sdp.snapshot import NegotiationSnapshot, recall_untrusted, snapshot_of
from sipcore.sdp.stream import (
    LocalStream,
    Unacceptable,
    allowed_direction,
    bundled,
    read_direction_untrusted,
    read_transport_untrusted,
    rejected,
)
from sipcore.sdp.types import Attribute, Connection, MediaDescription, Origin, SessionDescription

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sipcore.ids import IdSource

__all__ = ["NegotiationState", "OfferAnswer", "RemoteOffer", "Unacceptable"]

_SESSION_ID_BITS = 48


class NegotiationState(enum.Enum):
    """Whose move it is."""

    STABLE = "stable"
    LOCAL_OFFER = "local offer"
    REMOTE_OFFER = "remote offer"


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteOffer:
    """What a remote offer asks for, before it is answered."""

    direction: Direction
    """The most we may do, from our point of view: ``RECVONLY`` or ``INACTIVE`` when the far end holds us."""

    profile: Profile
    keying: Keying
    """``DTLS`` needs :attr:`LocalMedia.fingerprint` in the answer, ``SDES`` needs :attr:`LocalMedia.crypto`."""

    sdes_suites: tuple[str, ...]
    """Suites offered with usable keys, the peer's favourite first."""

    rtcp_mux: bool

    @property
    def held(self) -> bool:
        """Whether the far end wants not to hear us."""
        return not self.direction.sends


@dataclass(frozen=True, slots=True)
class _Agreed:
    ours: OurSide
    theirs: SessionDescription
    parameters: MediaParameters


@dataclass(frozen=True, slots=True)
class _LocalOffer:
    ours: OurSide
    early: _Agreed | None = None
    """What an answer in a provisional response made of it."""


@dataclass(frozen=True, slots=True)
class _RemoteOffer:
    description: SessionDescription
    audio: AudioOffer


class OfferAnswer:
    """The negotiation of one dialog.

    ``codecs`` are those an offer may be accepted with at all; ``allow_sdes`` says whether signalling is encrypted, so
    that keys may travel in it (RFC 4568 §7).

    A body from the network raises :class:`~sipcore.errors.ParseError` or :class:`Unacceptable` and changes nothing.
    A method that does not fit :attr:`state` raises :class:`LocalProtocolError` and changes nothing.
    """

    def __init__(self, ids: IdSource, *, codecs: Sequence[Codec] = DEFAULT_CODECS, allow_sdes: bool = False) -> None:
        self._session_id = ids.integer(_SESSION_ID_BITS)
        self._codecs = tuple(codecs)
        self._allow_sdes = allow_sdes
        self._origin_connection: Connection | None = None
        self._version = 0
        self._negotiation = 0
        self._agreed: _Agreed | None = None
        self._pending: _LocalOffer | _RemoteOffer | None = None

    # --- what is known ------------------------------------------------------------------------------------------

    @property
    def state(self) -> NegotiationState:
        """Whose move it is."""
        match self._pending:
            case None:
                return NegotiationState.STABLE
            case _LocalOffer():
                return NegotiationState.LOCAL_OFFER
            case _RemoteOffer():
                return NegotiationState.REMOTE_OFFER

    @property
    def parameters(self) -> MediaParameters | None:
        """What was agreed last, or None before the first round."""
        return self._agreed.parameters if self._agreed else None

    @property
    def holds_keys(self) -> bool:
        """Whether our description holds keys, so that it must not travel in the clear (RFC 4568 §7)."""
        return self._agreed is not None and self._agreed.ours.keying is Keying.SDES

    @property
    def last_local_sdp(self) -> bytes | None:
        """Our description of the last completed round."""
        return bytes(self._agreed.ours.description) if self._agreed else None

    @property
    def last_remote_sdp(self) -> bytes | None:
        """The peer's description of the last completed round."""
        return bytes(self._agreed.theirs) if self._agreed else None

    @property
    def pending_local_sdp(self) -> bytes | None:
        """Our offer that waits for an answer: what a retransmission or a re-sent INVITE carries."""
        return bytes(self._pending.ours.description) if isinstance(self._pending, _LocalOffer) else None

    # --- we offer -----------------------------------------------------------------------------------------------

    def create_offer(self, local: LocalMedia, direction: Direction = Direction.SENDRECV) -> bytes:
        """The body of an INVITE or re-INVITE, or of a 2xx to one without a body.

        Once a round is complete its kind of protection stays: ``local.profile`` counts for the first offer only.
        """
        self._require(NegotiationState.STABLE)
        before = self._agreed.ours if self._agreed else None
        stream, keying = self._stream_to_offer(local, direction)
        grouped = stream.mid is not None and (before is None or bundled(before.description, stream.mid))
        index = before.index if before else 0
        media = list(before.description.media) if before else [stream.describe()]
        media[index] = stream.describe()
        ours = OurSide(
            description=self._describe(local, media, stream.mid if grouped else None),
            index=index,
            local=local,
            codecs=tuple(stream.codecs),
            direction=direction,
            keying=keying,
            rtcp_mux=stream.rtcp_mux,
            crypto=local.crypto if keying is Keying.SDES else (),
            ice=stream.ice,
            history=extended(before.history if before else {}, stream.codecs),
        )
        self._pending = _LocalOffer(ours)
        return bytes(ours.description)

    def unchanged_offer(self) -> bytes:
        """Offer our last description again, byte for byte: a re-INVITE that refreshes or recovers and changes nothing.

        RFC 3264 §8: "If the version in the origin line does not increment, the SDP MUST be identical to the SDP with
        that version number."
        """
        self._require(NegotiationState.STABLE)
        if self._agreed is None:
            raise LocalProtocolError("nothing was agreed yet that could be offered unchanged")
        self._pending = _LocalOffer(self._agreed.ours)
        return bytes(self._agreed.ours.description)

    def receive_answer(self, body: bytes, *, provisional: bool = False) -> MediaParameters:
        """The peer's answer. ``provisional``: it came in a 1xx, and the final response may repeat or replace it.

        A final answer equal to the provisional one returns the same parameters, ``negotiation`` included.
        """
        if not isinstance(self._pending, _LocalOffer):
            raise LocalProtocolError("an answer came without an offer of ours")
        pending = self._pending
        answer = parse(body)
        if pending.early is not None and pending.early.theirs == answer:
            agreed = pending.early
        else:
            parameters = outcome_of(
                pending.ours, answer, present_role=self._present_role(), negotiation=self._negotiation + 1
            )
            self._negotiation = parameters.negotiation
            agreed = _Agreed(pending.ours, answer, parameters)
        if provisional:
            self._pending = replace(pending, early=agreed)
        else:
            self._conclude(agreed)
        return agreed.parameters

    def accept_early(self) -> MediaParameters | None:
        """Take the provisional answer as final, for a 2xx that has no body; None where there was none."""
        if not isinstance(self._pending, _LocalOffer) or self._pending.early is None:
            return None
        agreed = self._pending.early
        self._conclude(agreed)
        return agreed.parameters

    def fork(self) -> OfferAnswer:
        """An independent copy, for another early dialog of the same INVITE (RFC 3261 §13.2.2.4)."""
        other = copy.copy(self)
        if isinstance(other._pending, _LocalOffer):
            other._pending = _LocalOffer(other._pending.ours)
        return other

    # --- they offer ---------------------------------------------------------------------------------------------

    def receive_offer(self, body: bytes) -> RemoteOffer:
        """The peer's offer, to be answered or rolled back. Only in STABLE: before, a glare is the session's (491)."""
        self._require(NegotiationState.STABLE)
        description = parse(body)
        audio = find_audio(
            description,
            codecs=self._codecs,
            sdes_suites=tuple(SDES_SUITES) if self._allow_sdes else (),
            preferred=self._agreed.ours.index if self._agreed else None,
        )
        media = audio.media
        silenced = read_transport_untrusted(description, media, rtcp_mux=False, local_address=None).silenced
        offer = RemoteOffer(
            direction=allowed_direction(read_direction_untrusted(description, media), silenced=silenced),
            profile=audio.profile,
            keying=audio.keying,
            sdes_suites=tuple(key.suite for key in read_crypto_untrusted(media)) if self._allow_sdes else (),
            rtcp_mux=media.has("rtcp-mux"),
        )
        self._pending = _RemoteOffer(description, audio)
        return offer

    def create_answer(self, local: LocalMedia, wanted: Direction = Direction.SENDRECV) -> tuple[bytes, MediaParameters]:
        """Our answer, and what is agreed now. ``wanted`` is what we would do, ours being the point of view: with
        ``SENDONLY`` we hold the peer. After :class:`Unacceptable` the offer is still pending: reject it, roll back."""
        if not isinstance(self._pending, _RemoteOffer):
            raise LocalProtocolError("there is no remote offer to answer")
        offer, audio = self._pending.description, self._pending.audio
        history = self._agreed.ours.history if self._agreed else {}
        stream, parameters = answer_to(
            offer,
            audio,
            local,
            wanted,
            history=history,
            present_role=self._present_role(),
            sdes_allowed=self._allow_sdes,
            negotiation=self._negotiation + 1,
        )
        media = [rejected(other) for other in offer.media]
        media[audio.index] = stream.describe()
        ours = OurSide(
            description=self._describe(local, media, stream.mid if bundled(offer, stream.mid) else None),
            index=audio.index,
            local=local,
            codecs=tuple(stream.codecs),
            # A later unchanged offer says what this answer said.
            direction=stream.direction,
            keying=audio.keying,
            rtcp_mux=stream.rtcp_mux,
            crypto=(parameters.local_crypto,) if parameters.local_crypto else (),
            ice=stream.ice,
            history=extended(history, stream.codecs),
        )
        self._negotiation = parameters.negotiation
        self._conclude(_Agreed(ours, offer, parameters))
        return bytes(ours.description), parameters

    # --- both ---------------------------------------------------------------------------------------------------

    def rollback(self) -> None:
        """Forget the pending offer, ours or theirs. RFC 3261 §14.1: a refused re-INVITE leaves the session as if it
        had never been sent. Harmless when nothing is pending."""
        self._pending = None

    def snapshot(self) -> NegotiationSnapshot | None:
        """What is to be kept of the last completed round; None before the first."""
        agreed = self._agreed
        if agreed is None:
            return None
        return snapshot_of(agreed.ours, agreed.theirs, self._version, agreed.parameters.remote_address)

    @classmethod
    def restored_untrusted(cls, ids: IdSource, kept: NegotiationSnapshot, local: LocalMedia) -> Self:
        """The negotiation another process began, with ``local`` in place of its media. Raises ParseError.

        :attr:`parameters` lack what was not kept, the keys: an encrypted stream needs another round. Where keys
        travelled in the description they may again.
        """
        ours, theirs = recall_untrusted(kept, local)
        self = cls(ids, codecs=local.codecs, allow_sdes=ours.keying is Keying.SDES)
        try:
            parameters = recalled(ours, theirs, negotiation=1)
        except Unacceptable as error:
            raise ParseError(str(error)) from None
        origin = ours.description.origin
        self._session_id, self._origin_connection, self._version = origin.session_id, origin.connection, kept.version
        self._negotiation = parameters.negotiation
        self._agreed = _Agreed(ours, theirs, parameters)
        return self

    def _require(self, state: NegotiationState) -> None:
        if self.state is not state:
            raise LocalProtocolError(Phrase("another change of the call is under way"))

    def _conclude(self, agreed: _Agreed) -> None:
        self._agreed = agreed
        self._pending = None

    def _present_role(self) -> DtlsSetup | None:
        return self._agreed.parameters.dtls_role if self._agreed else None

    def _in_agreed_order(self, codecs: Sequence[Codec]) -> list[Codec]:
        """What was agreed comes first, so that a hold does not change the codec."""
        if self._agreed is None:
            return list(codecs)
        agreed = [format_key(codec) for codec in self._agreed.ours.codecs]
        return sorted(codecs, key=lambda c: agreed.index(format_key(c)) if format_key(c) in agreed else len(agreed))

    def _keying_to_offer(self, local: LocalMedia) -> tuple[Keying, str]:
        if self._agreed is not None:
            ours = self._agreed.ours
            keying, protocol = ours.keying, ours.description.media[ours.index].protocol
        else:
            profile = local.profile
            keying = Keying.DTLS if profile.dtls else Keying.SDES if profile.sdes else Keying.NONE
            protocol = profile.value
        if keying is Keying.DTLS and local.fingerprint is None:
            raise LocalProtocolError(Phrase("DTLS-SRTP cannot be offered without a fingerprint"))
        if keying is Keying.SDES and not (local.crypto and self._allow_sdes):
            raise LocalProtocolError(Phrase("SDES cannot be offered without keys, nor over signalling in the clear"))
        return keying, protocol

    def _stream_to_offer(self, local: LocalMedia, direction: Direction) -> tuple[LocalStream, Keying]:
        """Our m-line: the first offer by what ``local`` wants, later ones by what was agreed."""
        keying, protocol = self._keying_to_offer(local)
        agreed = self._agreed
        before = agreed.ours if agreed else None
        if before is not None:
            mid = before.description.media[before.index].value("mid")
        else:
            mid = "0" if keying is Keying.DTLS else None
        # A call whose peer does without ICE goes on so; a plain stream never begins with it.
        untried = agreed is None or agreed.ours.local.ice is None
        with_ice = keying is Keying.DTLS if untried else agreed is not None and agreed.parameters.local_ice is not None
        stream = LocalStream(
            local=local,
            protocol=protocol,
            codecs=numbered(self._in_agreed_order(local.codecs), before.history if before else {}, as_before=True),
            direction=direction,
            rtcp_mux=local.rtcp_mux,
            security=self._offered_security(local, keying),
            mid=mid,
            ice=with_ice and local.ice is not None,
            rtcp_mux_agreed=local.rtcp_mux and agreed is not None and agreed.parameters.rtcp_mux,
        )
        return stream, keying

    def _offered_security(self, local: LocalMedia, keying: Keying) -> tuple[Attribute, ...]:
        if keying is Keying.DTLS and local.fingerprint is not None:
            # RFC 5763 §5: "The endpoint that is the offerer MUST use the setup attribute value of setup:actpass".
            return tuple(dtls_attributes(local.fingerprint, DtlsSetup.ACTPASS))
        if keying is Keying.SDES:
            return tuple(crypto_attribute(key) for key in local.crypto)
        return ()

    def _describe(self, local: LocalMedia, media: Sequence[MediaDescription], group: str | None) -> SessionDescription:
        """Our description with the version it deserves. RFC 3264 §8: the o= line stays as it was "except that the
        version in the origin field MUST increment by one from the previous SDP"."""
        connection = Connection.of(local.address)
        if self._origin_connection is None:
            self._origin_connection = connection
        before = self._agreed.ours.description if self._agreed else None
        # Without a first agreement every offer is news, also the fallback after a refused one.
        version = before.origin.session_version if before else self._version + 1
        description = SessionDescription(
            origin=Origin("-", self._session_id, version, self._origin_connection),
            connection=connection,
            attributes=(Attribute("group", f"BUNDLE {group}"),) if group else (),
            media=tuple(media),
        )
        if before is not None and description != before:
            description = replace(description, origin=replace(description.origin, session_version=version + 1))
        self._version = description.origin.session_version
        return description
