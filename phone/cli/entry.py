"""Parses the command line and hands over to the module of the command, which is loaded only then.

    offhook            console        offhook ctl ...      scripts and people in a hurry
    offhook run        the engine     offhook config|devices|doctor

Options are accepted before and after the command. Exit status: 0 ok, 1 failed, 2 usage.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
from pathlib import Path
from typing import Any

from phone.cli.say import OutputError, narrate

EXIT_OK, EXIT_FAILED, EXIT_USAGE = 0, 1, 2
_PER_CENT = re.compile(r"-(\d+)%")


def main(arguments: list[str] | None = None) -> int:
    """Run a command line; returns the exit status."""
    _complete_standard_streams()
    arguments = sys.argv[1:] if arguments is None else arguments
    if "volume" in arguments:  # argparse takes -10 for a number and -10% for an option
        arguments = [_PER_CENT.sub(r"-\1", word) if _PER_CENT.fullmatch(word) else word for word in arguments]
    parser = _parser(frozenset(arguments))
    options = parser.parse_args(arguments)
    for name in ("config", "socket", "log", "verbose", "json", "call"):
        setattr(options, name, getattr(options, name, None))
    options.profile = getattr(options, "profile", None) or os.environ.get("OFFHOOK_PROFILE") or "default"
    if options.config is None and (config := os.environ.get("OFFHOOK_CONFIG")):
        options.config = Path(config)
    try:
        return _dispatch(options, parser)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BrokenPipeError:  # `offhook ctl events | head`: the reader has had enough
        _discard_output()
        return EXIT_OK
    except OutputError as error:
        _discard_output()
        narrate(str(error))
        return EXIT_FAILED


def _discard_output() -> None:
    """Let what is still buffered go nowhere, or the interpreter complains when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _complete_standard_streams() -> None:
    """Open descriptors 0 to 2 where a parent left them closed.

    Else the next file or socket would get such a number, and be written to, or replaced, as if it were the terminal.
    """
    for descriptor, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(descriptor)
        except OSError:
            null = os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
            setattr(sys, name, os.fdopen(null, mode))


def _dispatch(options: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    match options.command:
        case None:
            from phone.cli.console import console

            return console(options)
        case "run":
            from phone.cli.run import run

            return run(options)
        case "ctl":
            from phone.cli.ctl import ctl

            return ctl(options)
        case "config":
            from phone.cli.settings import config

            return config(options)
        case "devices":
            from phone.cli.devices import devices

            return devices(options)
        case "doctor":
            from phone.cli.checkup import checkup

            return checkup(options)
        case _:
            parser.error(f"unknown command {options.command!r}")


class _Version(argparse.Action):
    """Prints the version; looking it up costs more than parsing, so it waits until it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from phone.version import version

        sys.stdout.write(f"offhook {version()}\n")
        parser.exit(EXIT_OK)


def _common() -> argparse.ArgumentParser:
    """The options everywhere. SUPPRESS keeps a subcommand's absent option from hiding the one before it."""
    common = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    group = common.add_argument_group("options everywhere")
    group.add_argument("--config", type=Path, metavar="FILE", help="settings file instead of the user's own")
    group.add_argument("--profile", metavar="NAME", help="profile, each with its own engine (default: default)")
    group.add_argument("--socket", type=Path, metavar="PATH", help="control socket")
    group.add_argument("--verbose", action="store_true", help="write a verbose log")
    group.add_argument("--log", type=Path, metavar="FILE", help="log file")
    group.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    return common


def _parser(words: frozenset[str]) -> argparse.ArgumentParser:
    """The parser; only commands that occur in ``words`` get their options, since 25 of them cost more than ``ctl``."""
    common = _common()
    parser = argparse.ArgumentParser(
        prog="offhook", description="The terminal softphone that stays registered.", parents=[common]
    )
    parser.add_argument(
        "--ssh",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="spend few bytes, or do not (default: as SSH_CONNECTION and SSH_TTY say)",
    )
    parser.add_argument("--demo", action="store_true", help="try it against an embedded PBX, without any setting")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", prog="offhook")
    run = commands.add_parser("run", parents=[common], help="run the engine in the foreground")
    run.add_argument("--headless", action="store_true", help="without the console (the only way there is)")
    run.add_argument("--events", action="store_true", help="print one JSON object a line for everything that happens")
    run.add_argument("--ready-fd", type=int, default=None, help=argparse.SUPPRESS)
    run.add_argument("--successor-fd", type=int, default=None, help=argparse.SUPPRESS)
    _add_ctl(commands.add_parser("ctl", parents=[common], help="control a running engine"), common, words)
    devices = commands.add_parser("devices", parents=[common], help="list the sound devices")
    devices.add_argument("--json", action="store_true", help="as JSON")
    doctor = commands.add_parser("doctor", parents=[common], help="check what a call needs, and say what to do")
    doctor.add_argument("--json", action="store_true", help="as JSON")
    doctor.add_argument("--echo", metavar="NUMBER", help="also call a number that echoes, by the running engine")
    _add_config(commands.add_parser("config", parents=[common], help="show and check the settings"), common)
    return parser


def _add_config(parser: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    verbs.add_parser("path", parents=[common], help="print where the settings file is")
    verbs.add_parser("show", parents=[common], help="print the settings in force and where each comes from")
    verbs.add_parser("set-password", parents=[common], help="store the password, read from the terminal or stdin")
    verbs.add_parser("check", parents=[common], help="check the settings")


def _add_ctl(parser: argparse.ArgumentParser, common: argparse.ArgumentParser, words: frozenset[str]) -> None:
    def accept_json(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="as JSON")

    def accept_call(parser: argparse.ArgumentParser) -> None:
        text = "which call (default: the current one)"
        parser.add_argument("--call", metavar="ID", default=argparse.SUPPRESS, help=text)

    accept_json(parser)
    accept_call(parser)
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True, prog="offhook ctl")

    def add(name: str, text: str, *, positional: str | None = None, call: bool = False, **more: Any) -> Any:
        verb = verbs.add_parser(name, parents=[common] if name in words else [], help=text)
        if positional is not None:
            verb.add_argument(positional, default=argparse.SUPPRESS, **more)
        if call:
            accept_call(verb)
        return verb

    add("dial", "call TARGET and print the call's id", positional="target", metavar="TARGET")
    add("answer", "answer a ringing call", positional="call", metavar="ID", nargs="?")
    add("hangup", "end a call, or reject a ringing one", positional="call", metavar="ID", nargs="?")
    add("hold", "put a call on hold", call=True)
    add("resume", "take a call off hold", call=True)
    add("mute", "stop sending the microphone", call=True)
    add("unmute", "send the microphone again", call=True)
    add("dtmf", "send digits in a call", positional="digits", metavar="DIGITS", call=True)
    add("transfer", "send the other side of a call to TARGET", positional="target", metavar="TARGET", call=True)
    record = add("record", "record both sides of a call, and print the file", call=True)
    record.add_argument("action", nargs="?", choices=("start", "stop"), default="start", help="default: start")
    volume = add("volume", "show or set the volume, in per cent", positional="level", metavar="N|+N|-N", nargs="?")
    volume.add_argument("--ring", action="store_true", help="of the bell")
    accept_json(volume)
    add("register", "register now")
    add("unregister", "take the registration back")
    for name, text in (
        ("status", "registration, connection, calls and sound"),
        ("calls", "the calls that are up"),
        ("stats", "health figures, and how the calls sound"),
        ("history", "the calls that are over"),
    ):
        verb = add(name, text)
        accept_json(verb)
        if name == "history":
            verb.add_argument("--limit", type=int, default=50, metavar="N", help="how many, newest first (default 50)")
    add("events", "print one JSON object a line for everything that happens, until interrupted")
    add("restart", "start the engine anew, after an update; calls go on")
    add("shutdown", "end the engine")
