"""``offhook ctl``: one command to a running engine. It never starts one.

Nothing heavier than the standard library's JSON and sockets is loaded here: scripts call it in a row.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phone import paths
from phone.cli import say
from phone.client import Connection, EngineGone, NoEngine, Refused

if TYPE_CHECKING:
    import argparse

    from phone.protocol.wire import Json


_RESTART_TIMEOUT_S = 10.0
_RESTART_LOOK_S = 0.05


def ctl(options: argparse.Namespace) -> int:
    """Carry out one verb; returns the exit status."""
    mistake = ""
    try:
        path, mistake = _socket(options)
        with Connection(path) as connection:
            if mistake:
                say.narrate(mistake)
            return _run(connection, options)
    except NoEngine as error:
        mistake = mistake or _mistake(options)
        say.narrate(mistake or str(error))
        return 2 if mistake else 1
    except paths.PathError as error:
        say.narrate(str(error))
        return 2
    except (Refused, EngineGone) as error:
        say.narrate(str(error))
        return 1


def _socket(options: argparse.Namespace) -> tuple[Path, str]:
    """Where the engine listens, and a sentence when the settings that may name another place are invalid.

    A mistake in the file must not keep anybody from hanging up, so the usual place is tried before it is an error.
    """
    profile = paths.check_profile(options.profile)
    named = options.socket or os.environ.get("OFFHOOK_SOCKET")
    if named:
        return paths.check_socket_path(Path(named).absolute()), ""
    if not any(_mentions_socket(file) for file in _files(options)):
        return paths.check_socket_path(paths.socket_path(profile=profile)), ""
    from phone import config_layers  # reads TOML: not needed where no file names a socket

    try:
        settings = config_layers.read(os.environ, profile=profile, config=options.config)
    except config_layers.ConfigError as error:
        return config_layers.find_socket(None, profile, {}, os.environ), str(error)
    return config_layers.find_socket(None, profile, settings, os.environ), ""


def _files(options: argparse.Namespace) -> list[Path]:
    if options.config is not None:
        return [*paths.site_config_files(), options.config]
    mine = (paths.user_config_file(), paths.user_config_file(profile=options.profile))
    return [*paths.site_config_files(), *mine]


def _mentions_socket(file: Path) -> bool:
    try:
        return b"socket" in file.read_bytes()
    except OSError:
        return False


def _mistake(options: argparse.Namespace) -> str:
    """Without an engine it matters what is wrong with the settings: it may be why there is none."""
    if options.socket is not None:
        return ""
    from phone import config_layers

    try:
        config_layers.read(os.environ, profile=options.profile, config=options.config)
    except config_layers.ConfigError as error:
        return str(error)
    return ""


def _run(connection: Connection, options: argparse.Namespace) -> int:
    match options.verb:
        case "dial":
            say.data(str(connection.call("dial", target=options.target)["call"]))
        case "status":
            _print(connection.call("status"), options.json, _status)
        case "calls":
            _print(connection.call("calls"), options.json, _calls)
        case "stats":
            _print(connection.call("stats"), options.json, _stats)
        case "history":
            _print(connection.call("history", limit=options.limit), options.json, _history)
        case "events":
            return _events(connection)
        case "dtmf":
            connection.call("dtmf", digits=options.digits, call=options.call)
        case "transfer":
            connection.call("transfer", target=options.target, call=options.call)
        case "record":
            say.data(str(connection.call("record", action=options.action, call=options.call)["file"]))
        case "volume":
            return _volume(connection, options)
        case "register" | "unregister" | "shutdown" as verb:
            connection.call(verb)
        case "restart":
            former = connection.call("status").get("engine")
            connection.call("restart")
            return _wait_for_another(_socket(options)[0], former)
        case verb:  # answer, hangup, hold, resume, mute, unmute
            connection.call(verb, call=options.call)
    return 0


def _volume(connection: Connection, options: argparse.Namespace) -> int:
    """Tell the volumes, after changing one of them where that is asked for."""
    text = getattr(options, "level", None)
    parameters: Json = {"ring": options.ring}
    if text is not None:
        try:
            parameters["change" if text[:1] in ("+", "-") else "level"] = int(text.rstrip("%"))
        except ValueError:
            say.narrate(f"{text!r} is no volume; give per cent such as 80, +10 or -10.")
            return 2
    _print(connection.call("volume", **parameters), options.json, _volumes)
    return 0


def _volumes(found: Json) -> list[str]:
    return [f"volume {found['volume']} %  ring {found['ring_volume']} %"]


def _wait_for_another(path: Path, former: Any) -> int:
    """Return once another engine answers."""
    deadline = time.monotonic() + _RESTART_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            with Connection(path) as connection:
                if connection.call("status").get("engine") != former:
                    return 0
        except (NoEngine, EngineGone, Refused):
            pass  # between the two
        time.sleep(_RESTART_LOOK_S)
    say.narrate("The new engine does not answer; the log says why.")
    return 1


def _events(connection: Connection) -> int:
    import json

    connection.call("events")
    try:
        for event in connection.events():
            say.data(json.dumps(event))
    except KeyboardInterrupt:
        return 0
    say.narrate("The engine ended.")
    return 1


# --- for people --------------------------------------------------------------------------------------------


def _print(result: Any, as_json: bool, render: Any) -> None:
    if as_json:
        say.data_json(result)
        return
    for line in render(result):
        say.data(say.printable(line))


def _status(status: Json) -> list[str]:
    lines = [f"{status['registration']}" + (f" as {status['account']}" if status["account"] else "")]
    if status["registration"] != "registered" and status["reason"] not in ("", status["registration"]):
        lines[0] += f": {status['reason']}"
    lines.append(f"transport {status['transport']}" + (f" to {status['server']}" if status["server"] else ""))
    if status["network"] == "offline":
        lines.append("network offline")
    if reconnect := status["reconnect"]:
        lines.append(f"attempt {reconnect['attempt']}/{reconnect['max']} in {reconnect['next_in_s']:.0f} s")
    audio = status["audio"]
    lines.append(f"sound in {audio['input']}, out {audio['output']}, volume {audio['volume']} %")
    if audio["problem"]:
        lines.append(f"sound problem: {audio['problem']}")
    return lines + _calls(status["calls"])


def _calls(calls: list[Json]) -> list[str]:
    lines = []
    for call in calls:
        words = [call["id"], call["direction"], call["state"], call["peer"], _clock(call["duration_s"])]
        if call["codec"]:
            words += [call["codec"], f"encrypted ({call['security']})" if call["security"] else "not encrypted"]
        words += [
            name for name, key in (("held", "held"), ("held-by-peer", "held_by_peer"), ("muted", "muted")) if call[key]
        ]
        words += ["recorded"] if call["recording"] else []
        words += ["microphone silent"] if call["microphone_silent"] else []
        if call["signalling_lost"]:
            words.append("signalling lost, " + ("nothing heard" if call["media_silent"] else "audio up"))
        if (media := call["media"]) and media["mos"] is not None:
            words.append(f"MOS {media['mos']:.1f} loss {media['loss']:.1%} jitter {media['jitter_ms']:.0f} ms")
        if media and (media["underruns"] or media["overruns"]):
            words.append(f"device breaks {media['underruns']} too little {media['overruns']} too much")
        lines.append("  ".join(words))
    return lines


def _stats(stats: Json) -> list[str]:
    health = stats["health"]
    lines = [f"over {health['days']} days"]
    for name, key, form, target in (
        ("disconnections", "disconnections", "{:d}", ""),
        ("disconnections per day", "disconnections_per_day", "{:.1f}", ""),
        ("reconnection success rate", "reconnection_success_rate", "{:.1%}", "over 95 %"),
        ("mean reconnection time", "mean_reconnection_s", "{:.1f} s", "under 10 s"),
        ("keep-alive failure rate", "keep_alive_failure_rate", "{:.2%}", "under 0.1 %"),
        ("mean keep-alive round trip", "mean_keep_alive_rtt_ms", "{:.1f} ms", ""),
    ):
        figure = "-" if health[key] is None else form.format(health[key])
        lines.append(f"{name}: {figure}" + (f" (should be {target})" if target else ""))
    lines += [_incident(incident) for incident in reversed(health["incidents"][:_SHOWN_INCIDENTS])]
    for call, media in stats["calls"].items():
        lines.append(
            f"call {call}: " + ", ".join(f"{key} {value}" for key, value in media.items() if value is not None)
        )
    return lines


_SHOWN_INCIDENTS = 10
_INCIDENTS = {
    "lost": "connection lost: {reason}",
    "reconnected": "reconnected after {seconds:.1f} s, {count} attempts",
    "failed": "given up after {count} attempts: {reason}",
    "refused": "registration refused: {count} {reason}",
    "offline": "network offline",
    "online": "network back",
}


def _incident(incident: Json) -> str:
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(incident["at"]))
    return f"{when}  {_INCIDENTS.get(incident['kind'], '{kind}').format(**incident)}"


def _history(entries: list[Json]) -> list[str]:
    lines = []
    for entry in entries:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry["started_at"]))
        who = f"{entry['peer']} {entry['display_name']}".rstrip()
        lines.append(f"{when}  {entry['direction']:3}  {entry['outcome']:9}  {_clock(entry['duration_s']):>7}  {who}")
    return lines


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
