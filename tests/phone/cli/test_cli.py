"""The command line as a user has it: processes, exit statuses, sentences."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from phone.protocol import commands as cmd
from phone.protocol import events as ev
from phone.protocol.codec import to_json
from phone.protocol.snapshots import CallMedia
from phone.server import ControlServer
from phone.state import PhoneState, calls_json, reduce, status_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PROJECT = Path(__file__).resolve().parents[3]
MINIMAL = '[account]\nserver = "ws://127.0.0.1:9/ws"\nusername = "1001"\n'


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """A home of its own, and nothing of this machine's settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OFFHOOK_", "XDG_"))}
    return kept | {
        "HOME": str(tmp_path),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "XDG_CONFIG_DIRS": str(tmp_path / "site"),
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "XDG_RUNTIME_DIR": str(tmp_path / "run"),
        "PYTHONPATH": str(PROJECT),
        "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
    }


class Offhook:
    """Runs ``offhook``."""

    def __init__(self, environ: dict[str, str], directory: Path) -> None:
        self.environ = environ
        self.directory = directory

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "phone.cli", *arguments]

    def __call__(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            input=stdin or "",
            capture_output=True,
            text=True,
            timeout=15,
            env=self.environ,
            cwd=self.directory,
            check=False,
        )

    def refused(self, *arguments: str, status: int, stdin: str | None = None) -> str:
        """The one sentence a failing command says."""
        done = self(*arguments, stdin=stdin)
        assert done.returncode == status, done
        assert done.stdout == ""
        assert "Traceback" not in done.stderr
        lines = done.stderr.splitlines()
        assert len(lines) == 1, done.stderr
        return lines[0]

    def write_config(self, text: str) -> Path:
        file = self.directory / "config/offhook/config.toml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file


@pytest.fixture
def offhook(environ: dict[str, str], tmp_path: Path) -> Offhook:
    return Offhook(environ, tmp_path)


class TestUsage:
    @pytest.mark.parametrize(
        "arguments",
        [
            ["explode"],
            ["ctl"],
            ["ctl", "explode"],
            ["ctl", "dial"],
            ["config"],
            ["--nonsense"],
            ["ctl", "history", "--limit", "x"],
        ],
    )
    def test_status_2(self, offhook: Offhook, arguments: list[str]) -> None:
        done = offhook(*arguments)
        assert done.returncode == 2
        assert "usage: offhook" in done.stderr

    def test_help_and_version(self, offhook: Offhook) -> None:
        assert "ctl" in offhook("--help").stdout
        done = offhook("ctl", "status", "--version")
        assert done.returncode == 0
        assert done.stdout.startswith("offhook ")

    def test_a_bad_profile_name(self, offhook: Offhook) -> None:
        assert "profile name" in offhook.refused("ctl", "status", "--profile", "../x", status=2)

    def test_run_needs_headless(self, offhook: Offhook) -> None:
        assert "offhook run --headless" in offhook.refused("run", status=2)


class TestConfig:
    def test_path(self, offhook: Offhook, tmp_path: Path) -> None:
        expected = f"{tmp_path}/config/offhook/config.toml\n"
        assert offhook("config", "path").stdout == expected
        offhook.write_config("[account\n")
        assert offhook("config", "path").stdout == expected
        assert offhook("--config", "/x.toml", "config", "path").stdout == "/x.toml\n"

    def test_check(self, offhook: Offhook) -> None:
        assert "No account is configured" in offhook.refused("config", "check", status=2)
        offhook.write_config(MINIMAL)
        done = offhook("config", "check")
        assert (done.returncode, done.stdout) == (0, "ok: sip:1001@127.0.0.1 at ws://127.0.0.1:9/ws\n")
        file = offhook.write_config(MINIMAL + "\nvolume = 11\n")
        assert offhook.refused("config", "check", status=2).startswith(f"{file}, line 5: unknown key 'volume'")

    def test_show_hides_secrets_and_names_sources(self, offhook: Offhook) -> None:
        file = offhook.write_config(
            '[account]\nserver = "ws://x/ws?token=s3cret"\nusername = "1001"\npassword_command = ["echo", "s3cret"]\n'
        )
        offhook.environ |= {"OFFHOOK_PASSWORD": "s3cret", "OFFHOOK_DISPLAY_NAME": "Front desk"}
        done = offhook("config", "show")
        assert done.returncode == 0
        assert "s3cret" not in done.stdout + done.stderr
        assert f'username = "1001"  # {file}, line 3' in done.stdout
        assert 'display_name = "Front desk"  # the environment variable OFFHOOK_DISPLAY_NAME' in done.stdout

    def test_set_password(self, offhook: Offhook, tmp_path: Path) -> None:
        offhook.write_config(MINIMAL)
        done = offhook("config", "set-password", stdin="hunter2\n")
        assert done.returncode == 0, done
        assert "hunter2" not in done.stdout + done.stderr
        assert (tmp_path / "config/offhook/secrets.toml").stat().st_mode & 0o777 == 0o600
        assert "No password" in offhook.refused("config", "set-password", status=1)


class TestRunRefusals:
    """What can never work ends with one sentence and the right status."""

    def test_without_account(self, offhook: Offhook) -> None:
        assert "No account is configured" in offhook.refused("run", "--headless", status=2)

    def test_invalid_file(self, offhook: Offhook, tmp_path: Path) -> None:
        file = tmp_path / "my.toml"
        file.write_text("[account]\nserver = ws\n")
        sentence = offhook.refused("run", "--headless", "--config", str(file), status=2)
        assert sentence.startswith(f"{file}, line 2: not valid TOML")

    def test_failing_password_command(self, offhook: Offhook) -> None:
        offhook.write_config(MINIMAL + 'password_command = ["false"]\n')
        assert "password_command 'false' failed" in offhook.refused("run", "--headless", status=1)

    def test_open_secrets_file(self, offhook: Offhook, tmp_path: Path) -> None:
        offhook.write_config(MINIMAL)
        offhook("config", "set-password", stdin="x\n")
        (tmp_path / "config/offhook/secrets.toml").chmod(0o644)
        assert "chmod 600" in offhook.refused("run", "--headless", status=1)

    def test_unusable_authority(self, offhook: Offhook, tmp_path: Path) -> None:
        (tmp_path / "ca.pem").write_text("nonsense")
        offhook.environ["OFFHOOK_PASSWORD"] = "x"
        offhook.write_config(MINIMAL + f'tls_ca = "{tmp_path}/ca.pem"\n')
        assert "tls_ca" in offhook.refused("run", "--headless", status=2)

    def test_console_without_terminal(self, offhook: Offhook) -> None:
        offhook.write_config(MINIMAL)
        assert "needs a terminal" in offhook.refused(status=1)


class Running:
    """An engine nobody answers, started by the command line."""

    def __init__(self, offhook: Offhook, *options: str) -> None:
        self.process = subprocess.Popen(
            offhook.command("run", "--headless", "--events", *options),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=offhook.environ,
            cwd=offhook.directory,
        )
        assert self.process.stdout is not None
        self.first = json.loads(self.process.stdout.readline())

    def end(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str, str]:
        self.process.send_signal(number)
        output, narration = self.process.communicate(timeout=10)
        return self.process.returncode, output, narration


@pytest.fixture
def running(offhook: Offhook) -> Iterator[Running]:
    offhook.write_config(MINIMAL + '[audio]\ninput = "none"\noutput = "none"\nring = "none"\n')
    offhook.environ["OFFHOOK_PASSWORD"] = "hunter2"
    engine = Running(offhook)
    yield engine
    if engine.process.poll() is None:
        engine.process.kill()
        engine.process.communicate()


@pytest.mark.timeout(90)  # a dozen processes, one after the other
def test_an_engine_lives_with_an_unreachable_server(running: Running, offhook: Offhook, tmp_path: Path) -> None:
    """One engine for all of it: starting one is most of the time."""
    assert "event" in running.first
    assert "at" in running.first
    status = json.loads(offhook("ctl", "status", "--json").stdout)
    assert status["registration"] == "registering"
    assert offhook.refused("ctl", "dial", "600", status=1).startswith("The phone is not registered")
    assert offhook.refused("ctl", "hangup", status=1) == "There is no call."
    assert json.loads(offhook("ctl", "history", "--json").stdout) == []
    stats = json.loads(offhook("ctl", "stats", "--json").stdout)
    assert stats["calls"] == {}
    assert stats["health"]["keep_alive_failure_rate"] is None
    assert offhook("ctl", "stats").stdout.startswith("over ")

    # A second one is told of the first, by profile and by account.
    assert f"pid {running.process.pid} on " in offhook.refused("run", "--headless", status=1)
    sentence = offhook.refused("run", "--headless", "--profile", "other", status=1)
    assert "account 1001@127.0.0.1 is already running" in sentence

    # A mistake in the settings keeps nobody from hanging up.
    offhook.write_config("[account\n")
    done = offhook("ctl", "status", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["registration"]
    assert done.stderr == ""
    offhook.write_config("[account\nsocket")  # it might have named another place, so this is worth a word
    done = offhook("ctl", "status", "--json")
    assert done.returncode == 0
    assert "not valid TOML" in done.stderr

    code, output, narration = running.end()
    assert code == 0
    assert all("event" in json.loads(line) for line in output.splitlines())
    assert "Connection refused by 127.0.0.1:9" in narration
    assert "Traceback" not in narration
    logs = (tmp_path / "state/offhook/offhook.log").read_text()
    assert "connection attempt" in logs
    assert "hunter2" not in logs + output + narration
    assert not (tmp_path / "run/offhook/default.sock").exists()


def test_an_engine_outlives_its_terminal_and_ends_when_asked(running: Running, offhook: Offhook) -> None:
    running.process.send_signal(signal.SIGHUP)
    assert offhook("ctl", "status").returncode == 0
    assert offhook("ctl", "shutdown").returncode == 0
    assert running.process.wait(5) == 0
    assert "No engine is running" in offhook.refused("ctl", "shutdown", status=1)


def test_an_engine_needs_no_standard_streams(offhook: Offhook, tmp_path: Path) -> None:
    """A parent that closed descriptors 0 to 2: none of the engine's own files and sockets may stand in for them."""
    offhook.write_config(MINIMAL + '[audio]\ninput = "none"\noutput = "none"\nring = "none"\n')
    offhook.environ["OFFHOOK_PASSWORD"] = "hunter2"
    command = offhook.command("run", "--headless", "--events")
    engine = subprocess.Popen(
        ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *command], env=offhook.environ, cwd=offhook.directory
    )
    try:
        while offhook("ctl", "status").returncode != 0:
            assert engine.poll() is None
        held = [str(Path(f"/proc/{engine.pid}/fd/{number}").readlink()) for number in (0, 1, 2)]
        assert held[:2] == ["/dev/null", "/dev/null"]
        assert held[2].startswith("pipe:")  # what C libraries print goes to the log
        assert offhook("ctl", "shutdown").returncode == 0
        assert engine.wait(5) == 0
    finally:
        engine.kill()
    assert "Traceback" not in (tmp_path / "state/offhook/offhook.log").read_text()


# --- ctl against an engine of one call -----------------------------------------------------------------------


class Desk:
    """A control server with one call, on a thread."""

    def __init__(self, path: Path) -> None:
        self.state = PhoneState()
        for event in (
            ev.Registered(at=1, account="1001@pbx", expires_s=600),
            ev.TransportConnected(at=1, server="ws://pbx/ws"),
            ev.IncomingCall(at=1, call="abcd", peer="2002", display_name="Ann"),
            ev.CallStateChanged(at=2, call="abcd", state="active"),
            ev.MediaNegotiated(at=2, call="abcd", codec="PCMU", direction="sendrecv"),
            ev.MediaMeasured(at=3, call="abcd", media=CallMedia(mos=4.3, loss=0.01, jitter_ms=2)),
        ):
            self.state = reduce(self.state, event)
        self.commands: list[cmd.Command] = []
        self.loop = asyncio.new_event_loop()
        self.server = ControlServer(path, engine="e", version="1", state=lambda: self.state, execute=self.execute)
        self.loop.run_until_complete(self.server.start())
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()

    async def execute(self, command: cmd.Command) -> Any:
        self.commands.append(command)
        match command:
            case cmd.Dial():
                return {"call": "wxyz"}
            case cmd.Status():
                return status_json(self.state, 10)
            case cmd.Calls():
                return calls_json(self.state, 10)
            case cmd.Hold():
                raise cmd.CommandRefused("refused", "The other side refused: 488 No")
            case cmd.Volume():
                return {"volume": 80, "ring_volume": 100}
            case cmd.Record():
                return {"file": "/tapes/a.wav"}
            case cmd.History():
                return [to_json(entry) for entry in self.state.recent]
            case _:
                return None

    def on_loop(self, work: Callable[[], None]) -> None:
        self.loop.call_soon_threadsafe(work)

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self.server.close(), self.loop).result(5)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)
        self.loop.close()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path / "e.sock")
    yield made
    made.close()


@pytest.fixture
def ctl(desk: Desk, offhook: Offhook, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    return lambda *arguments: offhook("ctl", *arguments, "--socket", str(tmp_path / "e.sock"))


class TestCtl:
    def test_verbs_become_commands(self, desk: Desk, ctl: Callable[..., subprocess.CompletedProcess[str]]) -> None:
        done = ctl("dial", "600")
        assert (done.returncode, done.stdout, done.stderr) == (0, "wxyz\n", "")
        lines = [
            ["answer"], ["answer", "abcd"], ["hangup"], ["resume", "--call", "abcd"], ["mute"], ["unmute"],
            ["dtmf", "12#"], ["transfer", "2003", "--call", "abcd"], ["register"], ["unregister"], ["shutdown"],
        ]  # fmt: skip
        for line in lines:
            done = ctl(*line)
            assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), line
        assert desk.commands == [
            cmd.Dial("600"), cmd.Answer(), cmd.Answer("abcd"), cmd.Hangup(), cmd.Resume("abcd"), cmd.Mute(),
            cmd.Unmute(), cmd.Dtmf("12#"), cmd.Transfer("2003", "abcd"), cmd.Register(), cmd.Unregister(),
            cmd.Shutdown(),
        ]  # fmt: skip

    def test_volume(self, desk: Desk, ctl: Callable[..., subprocess.CompletedProcess[str]]) -> None:
        for line in ([], ["80"], ["+10"], ["-10"], ["-10", "--ring"], ["80%"], ["-10%"], ["--ring", "-10%"]):
            done = ctl("volume", *line)
            assert (done.returncode, done.stdout, done.stderr) == (0, "volume 80 %  ring 100 %\n", ""), line
        assert json.loads(ctl("volume", "--json").stdout) == {"volume": 80, "ring_volume": 100}
        assert desk.commands == [
            cmd.Volume(), cmd.Volume(level=80), cmd.Volume(change=10), cmd.Volume(change=-10),
            cmd.Volume(change=-10, ring=True), cmd.Volume(level=80), cmd.Volume(change=-10),
            cmd.Volume(change=-10, ring=True), cmd.Volume(),
        ]  # fmt: skip
        done = ctl("volume", "loud")
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == "'loud' is no volume; give per cent such as 80, +10 or -10.\n"

    def test_record(self, desk: Desk, ctl: Callable[..., subprocess.CompletedProcess[str]]) -> None:
        for line in ([], ["start", "--call", "abcd"], ["stop"]):
            assert ctl("record", *line).stdout == "/tapes/a.wav\n"
        assert desk.commands == [cmd.Record(), cmd.Record("start", "abcd"), cmd.Record("stop")]

    def test_a_refusal_is_one_sentence(self, ctl: Callable[..., subprocess.CompletedProcess[str]]) -> None:
        done = ctl("hold")
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == "The other side refused: 488 No\n"

    def test_status_for_programs_and_people(self, ctl: Callable[..., subprocess.CompletedProcess[str]]) -> None:
        status = json.loads(ctl("status", "--json").stdout)
        assert status["registration"] == "registered"
        assert status["calls"][0]["media"]["mos"] == 4.3
        assert json.loads(ctl("calls", "--json").stdout)[0]["duration_s"] == 8
        text = ctl("status").stdout
        assert "registered as 1001@pbx" in text
        assert "abcd  in  active  2002  0:08  PCMU  not encrypted  MOS 4.3 loss 1.0% jitter 2 ms" in text

    def test_options_before_and_after(self, desk: Desk, offhook: Offhook, tmp_path: Path) -> None:
        socket = str(tmp_path / "e.sock")
        assert offhook("--socket", socket, "ctl", "mute").returncode == 0
        assert offhook("ctl", "--socket", socket, "mute").returncode == 0
        assert offhook("ctl", "mute", f"--socket={socket}", "--verbose").returncode == 0
        offhook.environ["OFFHOOK_SOCKET"] = socket
        assert offhook("ctl", "mute").returncode == 0
        del offhook.environ["OFFHOOK_SOCKET"]
        offhook.write_config(f'[control]\nsocket = "{socket}"\n')
        assert offhook("ctl", "mute").returncode == 0
        assert desk.commands == [cmd.Mute()] * 5

    def test_json_and_call_before_the_verb(
        self, desk: Desk, ctl: Callable[..., subprocess.CompletedProcess[str]]
    ) -> None:
        assert json.loads(ctl("--json", "status").stdout)["registration"] == "registered"
        assert ctl("--call", "abcd", "mute").returncode == 0
        assert ctl("--call", "abcd", "hangup").returncode == 0
        assert desk.commands[1:] == [cmd.Mute("abcd"), cmd.Hangup("abcd")]

    def test_output_that_cannot_be_written_is_told(self, desk: Desk, offhook: Offhook, tmp_path: Path) -> None:
        command = offhook.command("ctl", "status", "--json", "--socket", str(tmp_path / "e.sock"))
        with Path("/dev/full").open("w") as full:
            done = subprocess.run(
                command, stdout=full, stderr=subprocess.PIPE, text=True, env=offhook.environ, timeout=15, check=False
            )
        assert (done.returncode, done.stderr) == (1, "The output cannot be written: No space left on device.\n")
        closed = subprocess.run(
            ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *command], env=offhook.environ, timeout=15, check=False
        )
        assert closed.returncode == 0

    def test_events_follow_until_interrupted(self, desk: Desk, offhook: Offhook, tmp_path: Path) -> None:
        command = offhook.command("ctl", "events", "--socket", str(tmp_path / "e.sock"))
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=offhook.environ, text=True
        ) as following:
            assert following.stdout is not None
            stop = threading.Event()

            def repeat() -> None:  # until it is attached, events pass it by
                while not stop.wait(0.02):
                    desk.on_loop(lambda: desk.server.publish(ev.NetworkOffline(at=7)))

            repeating = threading.Thread(target=repeat)
            repeating.start()
            line = following.stdout.readline()
            stop.set()
            repeating.join()
            following.send_signal(signal.SIGINT)
            _, narration = following.communicate(timeout=5)
        assert json.loads(line) == {"event": "networkOffline", "at": 7}
        assert (following.returncode, narration) == (0, "")

    def test_events_tell_when_the_engine_ends(self, desk: Desk, offhook: Offhook, tmp_path: Path) -> None:
        command = offhook.command("ctl", "events", "--socket", str(tmp_path / "e.sock"))
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=offhook.environ, text=True
        ) as following:
            while not any(client.follows_events for client in list(desk.server._clients)):
                assert following.poll() is None
            asyncio.run_coroutine_threadsafe(desk.server.close(), desk.loop).result(5)
            _, narration = following.communicate(timeout=5)
        assert (following.returncode, narration) == (1, "The engine ended.\n")

    def test_no_engine(self, offhook: Offhook) -> None:
        assert offhook.refused("ctl", "status", status=1).startswith("No engine is running at ")
        assert offhook.refused("ctl", "dial", "600", "--socket", "/nonexistent/x", status=1)

    def test_invalid_settings_without_engine(self, offhook: Offhook) -> None:
        offhook.write_config("[account\n")
        assert "not valid TOML" in offhook.refused("ctl", "status", status=2)

    def test_what_a_stranger_sent_cannot_steer_the_terminal(
        self, desk: Desk, ctl: Callable[..., subprocess.CompletedProcess[str]]
    ) -> None:
        desk.state = reduce(desk.state, ev.IncomingCall(at=1, call="evil", peer="\x1b[2J2003"))
        assert "\x1b" not in ctl("calls").stdout
