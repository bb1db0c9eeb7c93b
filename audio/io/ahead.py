"""Sound that goes on before there is an engine for it: the calls of an engine that died, and plain RTP at once.

    SoundAhead ── MediaThread ══ RTP          the rest of the phone is still being loaded
         └──▶ AudioEngine adopts thread and calls: devices, files, verbs

It loads no event loop and no sound library. Until a device is open the far end hears silence, as at the start of any
call.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from audio.codec import registry
from audio.core import MediaCore
from audio.io.commands import Activate, AddSession, CloseSession, Configure, Mute
from audio.io.realtime import RealtimeGuard, keep_heap_small
from audio.io.sockets import bind_pair, is_numeric
from audio.io.thread import MediaThread
from audio.session import MediaSession
from sipcore.media import LocalMedia

if TYPE_CHECKING:
    from collections.abc import Callable

    from audio.io.events import AudioEvent
    from audio.io.settings import AudioSettings
    from sipcore.ids import IdSource
    from sipcore.media import MediaParameters


class SoundAhead:
    """A media thread with calls, for one :class:`~audio.engine.AudioEngine` to come."""

    def __init__(self, settings: AudioSettings, ids: IdSource) -> None:
        keep_heap_small()
        self._settings = settings
        self._ids = ids
        self._lock = threading.Lock()
        self._reader: Callable[[AudioEvent], None] | None = None
        self._unread: list[AudioEvent] = []
        self.thread = MediaThread(self._report)
        self.guard = RealtimeGuard()
        self.calls: dict[str, LocalMedia] = {}
        """Those begun, by name, until they are adopted."""

    def begin(
        self,
        call: str,
        address: str,
        port: int,
        agreed: Callable[[LocalMedia], MediaParameters],
        *,
        muted: bool = False,
    ) -> bool:
        """Let a call in plain RTP sound at ``port`` of ``address``, where its far end sends to; whether it does.

        ``agreed`` says what holds for our media. Raises what it raises, and :class:`~audio.io.sockets.NoMediaPort`.
        """
        sockets = bind_pair(address, self._ids, port_min=port, port_max=port, dscp=self._settings.dscp, port=port)
        core = MediaCore(self._ids, wall_offset_s=time.time() - time.monotonic(), dtx=self._settings.dtx)
        media = LocalMedia(
            address=address,
            rtp_port=sockets.rtp_port,
            rtcp_port=sockets.rtcp_port,
            codecs=registry.offered(),
            ssrc=core.ssrc,
            cname=core.cname,
        )
        try:
            parameters = agreed(media)
        except BaseException:
            sockets.close()
            raise
        if not is_numeric(parameters.remote_address):
            sockets.close()
            return False  # whose name is looked up later
        self.guard.hold()
        self.thread.start()
        self.thread.send(AddSession(MediaSession(call, core, ids=self._ids), sockets))
        self.thread.send(Mute(call, muted))
        self.thread.send(Configure(call, parameters))
        self.calls[call] = media
        return True

    def activate(self, call: str) -> None:
        """This call has the microphone, once there is one."""
        self.thread.send(Activate(call))

    def abandon(self) -> None:
        """End those that nobody adopted."""
        for call in self.calls:
            self.thread.send(CloseSession(call))
        self.calls.clear()

    def report_to(self, reader: Callable[[AudioEvent], None]) -> None:
        """Tell ``reader`` what has happened and what will; it is called on any thread."""
        with self._lock:
            self._reader = reader
            for event in self._unread:
                reader(event)
            self._unread.clear()

    def _report(self, event: AudioEvent) -> None:
        with self._lock:
            if self._reader is None:
                self._unread.append(event)
            else:
                self._reader(event)
