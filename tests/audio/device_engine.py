"""An audio engine in a process of its own, with the sound devices of the environment it is started in.

    stdout   {"rtp_port", "rtcp_port"}, then each event as {"event", "at", …}, then {"figures"} at the end
    stdin    one line: the far end's {"rtp_port", "rtcp_port"}; the end of stdin ends the call

Run as ``python -m tests.audio.device_engine INPUT OUTPUT [portaudio|echo]``: ``portaudio`` reaches a sound server
through PortAudio only, ``echo`` turns echo cancelling on.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

from audio.engine import (
    AudioDeviceLost,
    AudioDeviceRestored,
    AudioEngine,
    AudioEvent,
    AudioProblem,
    AudioSettings,
    Role,
)
from audio.io.device import PortAudioBackend
from sipcore.media import LocalMedia
from tests.audio.calling import parameters


def _say(**message: object) -> None:
    print(json.dumps(message), flush=True)


def _told(event: AudioEvent) -> None:
    match event:
        case AudioProblem(sentence):
            _say(event="problem", at=time.monotonic(), sentence=sentence)
        case AudioDeviceLost(role, name, sentence) | AudioDeviceRestored(role, name, sentence):
            kind = "lost" if isinstance(event, AudioDeviceLost) else "restored"
            _say(event=kind, at=time.monotonic(), role=role.value, name=name, sentence=sentence)
        case _:
            pass


async def _main(wanted_input: str, wanted_output: str, only: str = "") -> None:
    settings = AudioSettings(input=wanted_input, output=wanted_output, ring="none", echo_cancelling=only == "echo")
    engine = AudioEngine(settings, on_event=_told, backend=PortAudioBackend() if only == "portaudio" else None)
    await engine.start()
    media = await engine.open("call", "127.0.0.1")
    _say(rtp_port=media.rtp_port, rtcp_port=media.rtcp_port)
    far = json.loads(await asyncio.to_thread(sys.stdin.readline))
    engine.configure("call", parameters(LocalMedia(address="127.0.0.1", **far)))
    waiting = asyncio.create_task(asyncio.to_thread(sys.stdin.readline))
    told = False
    while not waiting.done():
        await asyncio.sleep(0.05)
        names = [engine.device_name(role) for role in (Role.MICROPHONE, Role.SPEAKER)]
        if not told and names != [wanted_input, wanted_output]:
            told = True
            _say(event="open", at=time.monotonic(), names=names)
    statistics = engine.statistics("call")
    await engine.stop()
    _say(event="figures", sent=statistics.packets_sent if statistics else 0)


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
