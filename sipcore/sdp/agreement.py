"""From two descriptions to :class:`MediaParameters`: pure functions used by :mod:`sipcore.sdp.offer_answer`.

remote offer ─ find_audio ─▶ its m-line ─ answer_to ─▶ our m-line + MediaParameters
our offer + remote answer ─ outcome_of ─▶ MediaParameters
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sipcore.errors import Phrase
from sipcore.media import (
    Codec,
    CryptoKey,
    Direction,
    DtlsSetup,
    Fingerprint,
    IceRemote,
    LocalMedia,
    MediaParameters,
    Profile,
)
from sipcore.sdp.formats import (
    FormatKey,
    common,
    format_key,
    is_comfort_noise,
    is_event,
    is_speech,
    numbered,
    read_codecs_untrusted,
)
from sipcore.sdp.ice import read_ice_untrusted
from sipcore.sdp.security import (
    Keying,
    answer_crypto,
    crypto_attribute,
    dtls_attributes,
    keying_of,
    match_crypto_untrusted,
    profile_of,
    read_fingerprints_untrusted,
    read_setup_untrusted,
    role_by_answer,
    role_in_answer,
    select_crypto_untrusted,
)
from sipcore.sdp.stream import (
    LocalStream,
    RemoteTransport,
    Unacceptable,
    allowed_direction,
    meet,
    read_direction_untrusted,
    read_ptime_untrusted,
    read_transport_untrusted,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sipcore.sdp.types import Attribute, MediaDescription, SessionDescription


@dataclass(frozen=True, slots=True)
class Security:
    """How a stream is protected, agreed."""

    keying: Keying
    remote_fingerprints: tuple[Fingerprint, ...] = ()
    dtls_role: DtlsSetup | None = None
    local_crypto: CryptoKey | None = None
    remote_crypto: CryptoKey | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OurSide:
    """A description of ours and what its audio m-line was made from."""

    description: SessionDescription
    index: int
    """Of the audio m-line."""

    local: LocalMedia
    codecs: tuple[Codec, ...]
    """With the numbers of the description."""

    direction: Direction
    keying: Keying
    rtcp_mux: bool
    crypto: tuple[CryptoKey, ...] = ()
    """The SDES keys written there."""

    ice: bool = False
    """Whether ICE is."""

    history: Mapping[int, FormatKey] = field(default_factory=dict)
    """Every payload type number ever given in this call."""


@dataclass(frozen=True, slots=True)
class AudioOffer:
    """The audio m-line of a remote offer that we can take."""

    index: int
    media: MediaDescription
    profile: Profile
    keying: Keying


def find_audio(
    offer: SessionDescription, *, codecs: Sequence[Codec], sdes_suites: Sequence[str], preferred: int | None
) -> AudioOffer:
    """The m-line to accept: the one in use if it can be, else the first that can. Raises :class:`Unacceptable`."""
    candidates = [
        (index, media) for index, media in enumerate(offer.media) if media.media.lower() == "audio" and media.port != 0
    ]
    candidates.sort(key=lambda candidate: candidate[0] != preferred)
    problem = Unacceptable(Phrase("The far end offers no audio."), warning_code=304)
    for index, media in candidates:
        profile = profile_of(media)
        keying = keying_of(offer, media, sdes_suites)
        if profile is None or keying is None:
            problem = Unacceptable(_unusable(media), warning_code=302)
        elif not _speaks(common(read_codecs_untrusted(media), codecs)):
            problem = Unacceptable(Phrase("The far end offers no audio format known here."), warning_code=305)
        else:
            return AudioOffer(index, media, profile, keying)
    raise problem


def _unusable(media: MediaDescription) -> Phrase:
    return Phrase("The far end's media protection ({protocol}) cannot be used here.", protocol=media.protocol[:40])


def _speaks(pairs: Sequence[tuple[Codec, Codec]]) -> bool:
    return any(is_speech(codec) for codec, _ in pairs)


def answer_to(
    offer: SessionDescription,
    audio: AudioOffer,
    local: LocalMedia,
    wanted: Direction,
    *,
    history: Mapping[int, FormatKey],
    present_role: DtlsSetup | None,
    sdes_allowed: bool,
    negotiation: int,
) -> tuple[LocalStream, MediaParameters]:
    """Our m-line for a remote offer, and what follows from it. Raises :class:`Unacceptable`, also where ``local`` lacks
    the fingerprint or the keys the offer needs."""
    media = audio.media
    mux = local.rtcp_mux and media.has("rtcp-mux")
    transport = read_transport_untrusted(offer, media, rtcp_mux=mux, local_address=local.address)
    remote_direction = read_direction_untrusted(offer, media)
    direction = meet(wanted, allowed_direction(remote_direction, silenced=transport.silenced))
    shared = common(read_codecs_untrusted(media), local.codecs)
    # RFC 3264 §6.1: "if a particular codec was referenced with a specific payload type number in the offer, that same
    # payload type number SHOULD be used for that codec in the answer"; ours keeps its own fmtp.
    ours = numbered([replace(mine, payload_type=theirs.payload_type) for theirs, mine in shared], history)
    pairs = common([theirs for theirs, _ in shared], ours)
    if not _speaks(pairs):  # ``local`` may know fewer formats than the call may be accepted with
        raise Unacceptable(Phrase("The far end offers no audio format known here."), warning_code=305)
    remote_ice = read_ice_untrusted(offer, media, local.address) if local.ice is not None else None
    security, attributes = _secure_answer(offer, audio, local, present_role, sdes_allowed=sdes_allowed)
    stream = LocalStream(
        local=local,
        protocol=media.protocol,
        codecs=ours,
        direction=direction,
        rtcp_mux=mux,
        security=attributes,
        mid=media.value("mid"),
        ice=remote_ice is not None,
        rtcp_mux_agreed=mux,
    )
    parameters = _parameters(
        pairs, transport, direction, media, local, audio.profile, mux=mux, security=security, negotiation=negotiation
    )
    return stream, _with_ice(parameters, local, remote_ice, controlling=False)


def _secure_answer(
    offer: SessionDescription,
    audio: AudioOffer,
    local: LocalMedia,
    present_role: DtlsSetup | None,
    *,
    sdes_allowed: bool,
) -> tuple[Security, tuple[Attribute, ...]]:
    match audio.keying:
        case Keying.NONE:
            return Security(Keying.NONE), ()
        case Keying.DTLS:
            if local.fingerprint is None:
                raise Unacceptable(Phrase("The far end wants DTLS, which is not to be used here."), warning_code=302)
            role = role_in_answer(read_setup_untrusted(offer, audio.media), present_role)
            fingerprints = read_fingerprints_untrusted(offer, audio.media)
            return Security(Keying.DTLS, fingerprints, role), tuple(dtls_attributes(local.fingerprint, role))
        case Keying.SDES:
            suites = [key.suite for key in local.crypto] if sdes_allowed else []
            selected = select_crypto_untrusted(audio.media, suites)
            mine = answer_crypto(selected, local.crypto) if selected else None
            if selected is None or mine is None:
                raise Unacceptable(Phrase("The far end's media encryption cannot be used here."), warning_code=302)
            security = Security(Keying.SDES, local_crypto=mine, remote_crypto=selected)
            return security, (crypto_attribute(mine),)


def outcome_of(
    ours: OurSide, answer: SessionDescription, *, present_role: DtlsSetup | None, negotiation: int
) -> MediaParameters:
    """What an answer to our offer makes of it. Raises :class:`Unacceptable`."""
    media = _answered(ours, answer)
    profile, security = _security_of_answer(ours, answer, media, present_role)
    parameters = _agreed(ours, answer, media, profile, security, negotiation)
    local = ours.local
    remote_ice = read_ice_untrusted(answer, media, local.address) if ours.ice else None
    return _with_ice(parameters, local, remote_ice, controlling=True)


def recalled(ours: OurSide, theirs: SessionDescription, *, negotiation: int) -> MediaParameters:
    """What two descriptions of another process agreed on, keys and ICE apart. Raises :class:`Unacceptable`.

    They say nothing of who offered, which an agreement does not depend on any more.
    """
    media = _answered(ours, theirs)
    profile = profile_of(media)
    if profile is None:
        raise Unacceptable(_unusable(media), warning_code=302)
    parameters = _agreed(ours, theirs, media, profile, Security(ours.keying), negotiation)
    # That there was ICE is remembered by our credentials; without the peer's nothing is checked yet.
    return replace(parameters, local_ice=ours.local.ice if ours.ice else None)


def _agreed(
    ours: OurSide,
    theirs: SessionDescription,
    media: MediaDescription,
    profile: Profile,
    security: Security,
    negotiation: int,
) -> MediaParameters:
    mux = ours.rtcp_mux and media.has("rtcp-mux")
    local = ours.local
    transport = read_transport_untrusted(theirs, media, rtcp_mux=mux, local_address=local.address)
    allowed = allowed_direction(read_direction_untrusted(theirs, media), silenced=transport.silenced)
    pairs = common(read_codecs_untrusted(media, assumed=ours.codecs), ours.codecs)
    if not _speaks(pairs):
        raise Unacceptable(Phrase("The far end answered with no audio format we offered."), warning_code=305)
    return _parameters(
        pairs,
        transport,
        meet(ours.direction, allowed),
        media,
        local,
        profile,
        mux=mux,
        security=security,
        negotiation=negotiation,
    )


def _with_ice(
    parameters: MediaParameters, local: LocalMedia, remote: IceRemote | None, *, controlling: bool
) -> MediaParameters:
    """RFC 8445 §6.1.1: "The initiating agent that started the ICE processing MUST take the controlling role"."""
    if remote is None:
        return parameters
    return replace(parameters, local_ice=local.ice, remote_ice=remote, ice_controlling=controlling)


def _answered(ours: OurSide, answer: SessionDescription) -> MediaDescription:
    # RFC 3264 §6: "For each "m=" line in the offer, there MUST be a corresponding "m=" line in the answer"; where an
    # answer has fewer, the first audio is meant.
    audio = [media for media in answer.media if media.media.lower() == "audio"]
    if ours.index < len(answer.media) and answer.media[ours.index] in audio:
        audio = [answer.media[ours.index]]
    if not audio or audio[0].port == 0:
        raise Unacceptable(Phrase("The far end refused the audio stream."), warning_code=304)
    return audio[0]


def _security_of_answer(
    ours: OurSide, answer: SessionDescription, media: MediaDescription, present_role: DtlsSetup | None
) -> tuple[Profile, Security]:
    """The protection that was agreed. An answer may vary the proto's spelling, never the kind of keys."""
    profile = profile_of(media)
    encrypted = profile is not None and (profile.dtls or profile.sdes)
    if profile is not None and encrypted == (ours.keying is not Keying.NONE):
        match ours.keying:
            case Keying.NONE:
                return profile, Security(Keying.NONE)
            case Keying.DTLS:
                if fingerprints := read_fingerprints_untrusted(answer, media):
                    role = role_by_answer(read_setup_untrusted(answer, media), present_role)
                    return profile, Security(Keying.DTLS, fingerprints, role)
            case Keying.SDES:
                if keys := match_crypto_untrusted(media, ours.crypto):
                    return profile, Security(Keying.SDES, local_crypto=keys[0], remote_crypto=keys[1])
    raise Unacceptable(Phrase("The far end did not agree to the media protection we offered."), warning_code=302)


def _parameters(
    pairs: Sequence[tuple[Codec, Codec]],
    transport: RemoteTransport,
    direction: Direction,
    media: MediaDescription,
    local: LocalMedia,
    profile: Profile,
    *,
    mux: bool,
    security: Security,
    negotiation: int,
) -> MediaParameters:
    send = next(theirs for theirs, _ in pairs if is_speech(theirs))
    at_rate = [(theirs, mine) for theirs, mine in pairs if theirs.clock_rate == send.clock_rate]
    events = next(((theirs, mine) for theirs, mine in at_rate if is_event(theirs)), (None, None))
    noise = next(((theirs, mine) for theirs, mine in at_rate if is_comfort_noise(theirs)), (None, None))
    return MediaParameters(
        negotiation=negotiation,
        remote_address=transport.address,
        remote_rtp_port=transport.rtp_port,
        remote_rtcp_port=transport.rtcp_port,
        direction=direction,
        send_codec=send,
        receive_codecs=tuple(mine for theirs, mine in pairs if is_speech(theirs)),
        send_dtmf=events[0],
        receive_dtmf=events[1],
        send_cn=noise[0],
        receive_cn=noise[1],
        ptime_ms=read_ptime_untrusted(media, local.ptime_ms),
        profile=profile,
        rtcp_mux=mux,
        remote_fingerprints=security.remote_fingerprints,
        dtls_role=security.dtls_role,
        local_crypto=security.local_crypto,
        remote_crypto=security.remote_crypto,
    )


def extended(history: Mapping[int, FormatKey], codecs: Sequence[Codec]) -> dict[int, FormatKey]:
    """``history`` with the numbers of ``codecs`` last."""
    present = {codec.payload_type: format_key(codec) for codec in codecs}
    return {number: key for number, key in history.items() if number not in present} | present
