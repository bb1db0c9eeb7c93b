"""The control socket, over a real one."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import stat
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from phone.client import Connection, EngineClient, EngineGone, NoEngine, Refused, connect_socket
from phone.paths import PathError
from phone.protocol import commands as cmd
from phone.protocol import events as ev
from phone.protocol.snapshots import CallMedia
from phone.protocol.wire import MAX_LINE_BYTES, PROTOCOL, ErrorCode
from phone.server import MAX_CLIENTS, MAX_UNREAD_BYTES, STATE_INTERVAL_S, ControlServer, SocketInUse
from phone.state import PhoneState, reduce

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

pytestmark = pytest.mark.timeout(10)


class Desk:
    """An engine as the server sees one: a state that reduces events, and commands it remembers."""

    def __init__(self, path: Path, *, watch_interval_s: float = 0.02) -> None:
        self.state = PhoneState()
        self.done: list[cmd.Command] = []
        self.release = asyncio.Event()
        self.server = ControlServer(
            path,
            engine="engine-1",
            version="1.0",
            state=lambda: self.state,
            execute=self.execute,
            watch_interval_s=watch_interval_s,
        )

    async def execute(self, command: cmd.Command) -> Any:
        self.done.append(command)
        match command:
            case cmd.Dial("refuse"):
                raise cmd.CommandRefused("not_registered", "The phone is not registered.")
            case cmd.Dial("fail"):
                raise ZeroDivisionError
            case cmd.Dial("wait"):
                await self.release.wait()
            case cmd.Dial():
                return {"call": "abcd"}
            case _:
                pass
        return None

    def happen(self, *events: ev.Event) -> None:
        for event in events:
            self.state = reduce(self.state, event)
            self.server.publish(event)
            self.server.state_changed()


class Raw:
    """A client that speaks lines."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def connect(cls, path: Path) -> Raw:
        return cls(*await asyncio.open_unix_connection(str(path), limit=2**22))

    def send(self, value: object) -> None:
        self.writer.write((value if isinstance(value, str) else json.dumps(value)).encode() + b"\n")

    async def read(self) -> dict[str, Any]:
        line = await asyncio.wait_for(self.reader.readline(), 5)
        assert line, "the engine hung up"
        value: dict[str, Any] = json.loads(line)
        return value

    async def ask(self, method: str, number: int | str = 1, **params: object) -> dict[str, Any]:
        self.send({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        while True:
            reply = await self.read()
            if reply.get("id") == number:
                return reply

    async def hung_up(self) -> bool:
        try:
            while await asyncio.wait_for(self.reader.read(65536), 5):
                pass
        except ConnectionError:
            pass
        return True


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "engine.sock"


def run(path: Path, body: Callable[[Desk], Awaitable[None]], **options: Any) -> None:
    """Run a test body beside a server."""

    async def main() -> None:
        desk = Desk(path, **options)
        await desk.server.start()
        try:
            await body(desk)
        finally:
            await desk.server.close()

    asyncio.run(main())


async def until(predicate: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not predicate():  # noqa: ASYNC110 - what is waited for happens in another process or thread
            await asyncio.sleep(0.005)


class TestSocket:
    def test_is_for_its_owner_and_gone_afterwards(self, path: Path) -> None:
        async def body(_: Desk) -> None:
            assert stat.S_IMODE(path.stat().st_mode) == 0o600

        run(path, body)
        assert not path.exists()

    def test_one_left_behind_is_taken_over(self, path: Path) -> None:
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(str(path))

        async def body(_: Desk) -> None:
            assert (await (await Raw.connect(path)).ask("status"))["result"] is None

        run(path, body)

    def test_a_living_one_is_not(self, path: Path) -> None:
        async def body(_: Desk) -> None:
            with pytest.raises(SocketInUse, match="Another engine listens"):
                await Desk(path).server.start()
            assert path.exists()

        run(path, body)

    def test_who_closes_his_side_is_still_answered(self, path: Path) -> None:
        """As ``echo '{...}' | socat - UNIX-CONNECT:PATH`` does."""

        async def body(_: Desk) -> None:
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(b'{"id": 1, "method": "dial", "params": {"target": "1"}}\n')
            writer.write_eof()
            assert json.loads(await reader.readline())["result"] == {"call": "abcd"}
            assert await reader.read() == b""
            writer.close()

        run(path, body)

    def test_a_busy_one_is_not(self, path: Path) -> None:
        """A full backlog refuses connections too, but somebody is there."""
        with contextlib.ExitStack() as held:
            busy = held.enter_context(socket.socket(socket.AF_UNIX))
            busy.bind(str(path))
            busy.listen(0)
            for _ in range(2):
                client = held.enter_context(socket.socket(socket.AF_UNIX))
                client.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    client.connect(str(path))
            with pytest.raises(SocketInUse, match="Another engine listens"):
                run(path, lambda _: asyncio.sleep(0))
            assert path.exists()

    def test_many_clients_at_once_find_the_engine(self, path: Path) -> None:
        with socket.socket(socket.AF_UNIX) as busy, contextlib.ExitStack() as held:
            busy.bind(str(path))
            busy.listen(0)
            accepting = threading.Timer(0.1, lambda: [held.enter_context(busy.accept()[0]) for _ in range(4)])
            accepting.start()
            for _ in range(4):
                held.enter_context(connect_socket(path, 5.0))
            accepting.join()

    def test_a_file_is_not(self, path: Path) -> None:
        path.write_text("precious")
        with pytest.raises(SocketInUse, match="not a socket"):
            run(path, lambda _: asyncio.sleep(0))
        assert path.read_text() == "precious"

    def test_a_directory_that_is_not_there_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(PathError, match="Cannot make the control socket"):
            run(tmp_path / "no/engine.sock", lambda _: asyncio.sleep(0))

    def test_is_made_anew_when_its_path_vanishes(self, path: Path) -> None:
        async def body(desk: Desk) -> None:
            old = await Raw.connect(path)
            path.unlink()
            await until(path.exists)
            new = await Raw.connect(path)
            assert (await new.ask("dial", target="1"))["result"] == {"call": "abcd"}
            assert (await old.ask("dial", target="2"))["result"] == {"call": "abcd"}
            assert desk.done == [cmd.Dial("1"), cmd.Dial("2")]

        run(path, body)
        assert not path.exists()

    @pytest.mark.skipif(os.getuid() != 0, reason="needs root to become somebody else")
    def test_another_user_is_turned_away(self, path: Path) -> None:
        async def body(desk: Desk) -> None:
            path.parent.chmod(0o755)
            for parent in path.parents[1:]:
                if parent.stat().st_uid == 0 and len(parent.parts) > 2:
                    parent.chmod(parent.stat().st_mode | 0o011)
            path.chmod(0o666)
            child = os.fork()
            if child == 0:
                os._exit(_stranger(path))
            _, status = await asyncio.to_thread(os.waitpid, child, 0)
            assert os.waitstatus_to_exitcode(status) == 0
            assert desk.done == []

        run(path, body)


def _stranger(path: Path) -> int:
    """Runs as another user: 0 when connecting worked and nothing was answered."""
    try:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            connection.connect(str(path))
            try:
                connection.sendall(b'{"jsonrpc":"2.0","id":1,"method":"shutdown"}\n')
                return 0 if connection.recv(100) == b"" else 2
            except ConnectionError:
                return 0
    except OSError:
        return 3


class TestRequests:
    def test_answers_and_refusals(self, path: Path) -> None:
        async def body(_: Desk) -> None:
            client = await Raw.connect(path)
            assert await client.ask("dial", "a", target="600") == {
                "jsonrpc": "2.0",
                "id": "a",
                "result": {"call": "abcd"},
            }
            error = (await client.ask("dial", target="refuse"))["error"]
            assert error["code"] == ErrorCode.REFUSED
            assert error["message"] == "The phone is not registered."
            assert error["data"]["reason"] == "not_registered"
            assert (await client.ask("dial", target="fail"))["error"]["code"] == ErrorCode.INTERNAL
            assert (await client.ask("explode"))["error"]["code"] == ErrorCode.UNKNOWN_METHOD
            assert (await client.ask("dial"))["error"]["code"] == ErrorCode.INVALID_PARAMS

        run(path, body)

    @pytest.mark.parametrize(
        ("line", "code"),
        [
            ("not json", ErrorCode.PARSE),
            ("[" * 5000, ErrorCode.PARSE),
            ("[]", ErrorCode.INVALID_REQUEST),
            ('{"id": 1}', ErrorCode.INVALID_REQUEST),
            ('{"id": {}, "method": "status"}', ErrorCode.INVALID_REQUEST),
            ("\\ud800", ErrorCode.PARSE),
        ],
    )
    def test_nonsense_is_answered_and_survived(self, path: Path, line: str, code: int) -> None:
        async def body(_: Desk) -> None:
            client = await Raw.connect(path)
            client.send(line)
            assert (await client.read())["error"]["code"] == code
            assert "result" in await client.ask("status")

        run(path, body)

    def test_a_line_without_end_hangs_up(self, path: Path) -> None:
        async def body(_: Desk) -> None:
            client = await Raw.connect(path)
            client.writer.write(b"x" * (MAX_LINE_BYTES + 1))
            assert (await client.read())["error"]["code"] == ErrorCode.INVALID_REQUEST
            assert await client.hung_up()

        run(path, body)

    def test_a_slow_command_holds_up_nobody(self, path: Path) -> None:
        async def body(desk: Desk) -> None:
            client = await Raw.connect(path)
            client.send({"id": 1, "method": "dial", "params": {"target": "wait"}})
            assert (await client.ask("dial", 2, target="600"))["id"] == 2
            desk.release.set()
            assert (await client.read())["id"] == 1

        run(path, body)

    def test_a_command_goes_on_when_its_client_leaves(self, path: Path) -> None:
        async def body(desk: Desk) -> None:
            client = await Raw.connect(path)
            client.send({"id": 1, "method": "dial", "params": {"target": "wait"}})
            await until(lambda: bool(desk.done))
            client.writer.close()
            desk.release.set()
            other = await Raw.connect(path)
            assert "result" in await other.ask("status")

        run(path, body)

    def test_clients_are_counted(self, path: Path) -> None:
        async def body(_: Desk) -> None:
            clients = [await Raw.connect(path) for _ in range(MAX_CLIENTS)]
            assert "result" in await clients[-1].ask("status")
            extra = await Raw.connect(path)
            assert (await extra.read())["error"]["message"].startswith("Too many clients")
            assert await extra.hung_up()
            for client in clients:
                client.writer.close()

        run(path, body)


REGISTERED = ev.Registered(at=1.0, account="1@x", expires_s=60)


class TestAttach:
    def test_describes_engine_and_state(self, path: Path) -> None:
        async def body(desk: Desk) -> None:
            desk.happen(REGISTERED)
            client = await Raw.connect(path)
            attached = (await client.ask("attach", protocol=PROTOCOL))["result"]
            assert {name: attached[name] for name in ("engine", "version", "protocol")} == {
                "engine": "engine-1",
                "version": "1.0",
                "protocol": PROTOCOL,
            }
            assert attached["state"]["registration"]["state"] == "registered"
            desk.happen(ev.NetworkOffline(at=2.0))
            first, second = await client.read(), await client.read()
            assert {first["method"], second["method"]} == {"event", "state"}
            assert [first["params"]["seq"], second["params"]["seq"]] == [attached["seq"] + 1, attached["seq"] + 2]
            assert second["params"]["slices"]["transport"]["network"] == "offline"

        run(path, body)

    def test_of_another_version_gets_the_frozen_verbs_only(self, path: Path) -> None:
        async def body(_: Desk) -> None:
            client = await Raw.connect(path)
            error = (await client.ask("attach", protocol=PROTOCOL + 1))["error"]
            assert error["data"]["reason"] == "protocol"
            assert error["data"]["protocol"] == PROTOCOL
            assert error["data"]["busy"] is False
            assert (await client.ask("dial", target="600"))["error"]["data"]["reason"] == "protocol"
            for method in ("status", "answer", "hangup", "shutdown"):
                assert "result" in await client.ask(method)

        run(path, body)

    def test_states_are_coalesced_to_twenty_a_second(self, path: Path) -> None:
        async def body(desk: Desk) -> None:
            client = await Raw.connect(path)
            await client.ask("attach", protocol=PROTOCOL)
            began, ended = time.monotonic(), 0.0
            for number in range(300):
                desk.happen(ev.MediaMeasured(at=1.0, call="none", media=CallMedia()))
                desk.happen(ev.AudioChanged(at=1.0, input=str(number), output="", ring=""))
                await asyncio.sleep(0.001)
            states, inputs = 0, "0"
            while inputs != "299":
                message = await client.read()
                if message["method"] == "state":
                    states += 1
                    inputs = message["params"]["slices"]["audio"]["input"]
                    ended = time.monotonic()
            assert states <= (ended - began) / STATE_INTERVAL_S + 2

        run(path, body)

    def test_events_alone(self, path: Path) -> None:
        async def body(desk: Desk) -> None:
            client = await Raw.connect(path)
            await client.ask("events")
            desk.happen(ev.MediaMeasured(at=1.0, call="x", media=CallMedia()))
            desk.happen(REGISTERED)
            message = await client.read()
            assert message["method"] == "event"
            assert message["params"] == {"seq": 1, "event": "registered", "at": 1.0, "account": "1@x", "expires_s": 60,
                                         "refresh": False}  # fmt: skip
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.reader.readline(), 2 * STATE_INTERVAL_S)

        run(path, body)

    def test_a_client_that_does_not_read_is_dropped_and_may_come_back(self, path: Path) -> None:
        async def body(desk: Desk) -> None:
            idle, reading = await Raw.connect(path), await Raw.connect(path)
            idle.reader._transport.pause_reading()  # type: ignore[attr-defined]
            for client in (idle, reading):
                client.send({"id": 1, "method": "attach", "params": {"protocol": PROTOCOL}})
            assert (await reading.read())["id"] == 1
            big = ev.AudioProblem(at=1.0, problem="x", detail="y" * 10_000)
            heard = 0
            for _ in range(2 * (MAX_UNREAD_BYTES // 10_000) + 100):
                desk.happen(big)
                if (await reading.read())["method"] == "event":
                    heard += 1
            idle.reader._transport.resume_reading()  # type: ignore[attr-defined]
            assert await idle.hung_up()
            again = await Raw.connect(path)
            assert (await again.ask("attach", protocol=PROTOCOL))["result"]["state"]["audio"]["problem"] == "x"
            assert heard > 0

        run(path, body)


class Viewer:
    """What a console keeps."""

    def __init__(self, path: Path) -> None:
        self.states: list[PhoneState] = []
        self.events: list[str] = []
        self.lost = asyncio.Event()
        self.client = EngineClient(
            path,
            on_state=self.states.append,
            on_event=lambda event: self.events.append(event["event"]),
            on_lost=self.lost.set,
        )


class TestEngineClient:
    def test_follows(self, path: Path) -> None:
        async def body(desk: Desk) -> None:
            viewer = Viewer(path)
            await viewer.client.connect()
            assert viewer.client.engine == "engine-1"
            desk.happen(REGISTERED, ev.IncomingCall(at=1.0, call="aaaa", peer="2002"))
            await until(lambda: viewer.client.state == desk.state)
            assert viewer.states[-1] == desk.state
            assert viewer.events == ["registered", "incomingCall"]
            assert await viewer.client.call(cmd.Dial("600")) == {"call": "abcd"}
            with pytest.raises(Refused, match="not registered") as caught:
                await viewer.client.call(cmd.Dial("refuse"))
            assert caught.value.reason == "not_registered"
            await viewer.client.close()
            assert not viewer.lost.is_set()

        run(path, body)

    def test_a_gap_attaches_again(self, path: Path) -> None:
        async def body(desk: Desk) -> None:
            viewer = Viewer(path)
            await viewer.client.connect()
            desk.state = reduce(desk.state, REGISTERED)
            desk.server._sent = desk.state  # the notification of it is lost on the way
            desk.server._seq += 1
            desk.happen(ev.NetworkOffline(at=2.0))
            await until(lambda: viewer.client.state == desk.state)
            desk.happen(ev.NetworkOnline(at=3.0))
            await until(lambda: viewer.client.state == desk.state)
            await viewer.client.close()

        run(path, body)

    def test_the_end_of_the_engine_is_told(self, path: Path) -> None:
        async def body(desk: Desk) -> None:
            viewer = Viewer(path)
            await viewer.client.connect()
            waiting = asyncio.ensure_future(viewer.client.call(cmd.Dial("wait")))
            await until(lambda: bool(desk.done))
            await desk.server.close()
            await asyncio.wait_for(viewer.lost.wait(), 5)
            with pytest.raises(EngineGone):
                await waiting
            with pytest.raises(EngineGone):
                await viewer.client.call(cmd.Status())
            assert not viewer.client.connected

        run(path, body)

    def test_nobody_there(self, path: Path) -> None:
        async def main() -> None:
            with pytest.raises(NoEngine, match="No engine is running"):
                await Viewer(path).client.connect()

        asyncio.run(main())

    def test_comes_back_to_another_engine(self, path: Path) -> None:
        async def body(desk: Desk) -> None:
            viewer = Viewer(path)
            await viewer.client.connect()
            await desk.server.close()
            await asyncio.wait_for(viewer.lost.wait(), 5)
            other = Desk(path)
            other.state = reduce(other.state, REGISTERED)
            await other.server.start()
            await viewer.client.connect()
            assert viewer.client.state == other.state
            await viewer.client.close()
            await other.server.close()

        run(path, body)


class TestConnection:
    def test_asks_and_follows(self, path: Path) -> None:
        async def body(desk: Desk) -> None:
            def client() -> list[dict[str, Any]]:
                with Connection(path, timeout_s=5) as connection:
                    assert connection.call("dial", target="600") == {"call": "abcd"}
                    with pytest.raises(Refused, match="not registered"):
                        connection.call("dial", target="refuse")
                    connection.call("events")
                    return list(connection.events())

            following = asyncio.ensure_future(asyncio.to_thread(client))
            await until(lambda: any(c.follows_events for c in desk.server._clients))
            desk.happen(REGISTERED)
            await asyncio.sleep(0)
            await desk.server.close()
            (event,) = await following
            assert event["event"] == "registered"
            assert "seq" not in event

        run(path, body)

    def test_nobody_there(self, path: Path) -> None:
        with pytest.raises(NoEngine, match="offhook run --headless"):
            Connection(path)
