"""What a call is encrypted with: the certificate of this run for DTLS-SRTP, fresh keys a call for SDES.

The libraries that takes are loaded by the first call that may need them: off the loop, and before the media thread
would have to.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from audio.secure.certificate import DtlsCertificate
    from sipcore.ids import IdSource
    from sipcore.media import CryptoKey


class Keying:
    """For the loop."""

    def __init__(self, ids: IdSource) -> None:
        self._ids = ids
        self._certificate: DtlsCertificate | None = None

    async def certificate(self) -> DtlsCertificate:
        """The certificate of this run, made for the first call that may use it."""
        if self._certificate is None:
            made = await asyncio.to_thread(_make_certificate)
            if self._certificate is None:  # another call may have been quicker
                self._certificate = made
        return self._certificate

    async def fresh_keys(self) -> tuple[CryptoKey, ...]:
        """What to offer, or answer with, by SDES."""
        return await asyncio.to_thread(_fresh_keys, self._ids)


def _make_certificate() -> DtlsCertificate:
    import audio.ice.agent
    import audio.secure.dtls
    import audio.secure.media
    from audio.secure.certificate import DtlsCertificate

    audio.secure.media.preload()
    return DtlsCertificate.generate()


def _fresh_keys(ids: IdSource) -> tuple[CryptoKey, ...]:
    import audio.secure.media
    from audio.secure.sdes import generate_keys

    audio.secure.media.preload()
    return generate_keys(ids)
