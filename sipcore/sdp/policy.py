"""Which media protection to offer where: ``media = auto | rtp | sdes | webrtc`` (pure functions).

    media    ws, wss            tls                tcp, udp
    auto     DTLS, then RTP     RTP, then SDES     RTP, then DTLS
    rtp      RTP                RTP                RTP
    sdes     SDES (wss only)    SDES               not possible
    webrtc   DTLS               DTLS               DTLS

"then" is the one fallback, after a 488 to the first offer. What a peer offers is accepted whatever the setting.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, assert_never

from sipcore.errors import Phrase
from sipcore.media import MediaParameters, Profile

if TYPE_CHECKING:
    from sipcore.config import MediaChoice, ServerAddress

SecurityLabel = Literal["dtls", "sdes"]


def profiles_to_offer(choice: MediaChoice, server: ServerAddress) -> tuple[Profile, ...]:
    """The profile of the first offer, then that of the fallback where there is one.

    Raises ValueError with a sentence for the user where the setting cannot be honoured on this server.
    """
    match choice:
        case "rtp":
            return (Profile.RTP_AVP,)
        case "sdes":
            # RFC 4568 §7: the keys must not be readable on the way.
            if not server.secure:
                raise ValueError(
                    Phrase(
                        "media = sdes writes keys into the signalling, which is not encrypted on {scheme}; "
                        "use a wss or tls server, or media = webrtc",
                        scheme=server.scheme,
                    )
                )
            return (Profile.RTP_SAVP,)
        case "webrtc":
            return (Profile.UDP_TLS_RTP_SAVPF,)
        case "auto":
            if server.websocket:
                return (Profile.UDP_TLS_RTP_SAVPF, Profile.RTP_AVP)
            return (Profile.RTP_AVP, Profile.RTP_SAVP if server.secure else Profile.UDP_TLS_RTP_SAVPF)
        case _:
            assert_never(choice)


def security_label(parameters: MediaParameters | None) -> SecurityLabel | None:
    """What ``"security"`` says of a call: how its media is encrypted, or None where it is not, or not yet agreed."""
    if parameters is None:
        return None
    if parameters.dtls_role is not None:
        return "dtls"
    return "sdes" if parameters.local_crypto is not None else None
