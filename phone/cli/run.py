"""``offhook run --headless``: the engine in the foreground, or on behalf of the console that started it.

    settings ─▶ log ─▶ locks ─▶ sound of calls that were left behind ─▶ password ─▶ everything else, loaded only now

Whoever is in a call that lost its engine hears nothing until the sound goes on: what that does not take comes later.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from phone import paths
from phone.cli import say
from phone.cli.outcome import RUNNING, Outcome
from phone.cli.settings import options_of
from phone.config import ConfigError, load
from phone.locks import AlreadyRunning, lock_both
from phone.logging import Log

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from phone.config import Configuration
    from phone.handover import Inheritance
    from sipcore.config import Account

_log = logging.getLogger(__name__)


def run(arguments: argparse.Namespace) -> int:
    """Run the engine; returns the exit status when it ended."""
    outcome = Outcome(arguments.ready_fd)
    if not arguments.headless:
        return outcome.fail("Say offhook run --headless for an engine without a screen, or offhook for the console.", 2)
    try:
        configuration = load(options_of(arguments))
        account = configuration.require_account()
        directory = paths.make_private(paths.state_directory())
        inheritance = _inherit(arguments.successor_fd)
        log = Log(configuration.log_file, verbose=configuration.verbose, echo=configuration.verbose)
    except (ConfigError, paths.PathError) as error:
        return outcome.fail(str(error), 2)
    except OSError as error:
        sentence = f"The log {error.filename} cannot be written: {error.strerror}; choose another with --log."
        return outcome.fail(sentence, 1)
    try:
        return _run(configuration, account, directory, log, outcome, inheritance, arguments)
    except AlreadyRunning as error:
        say.narrate(str(error))
        outcome.tell(f"{RUNNING} {error}" if error.same_profile else str(error))
        return 1
    except OSError as error:
        what = error.filename or "The engine's files"
        return outcome.fail(f"{what} cannot be used: {error.strerror}; correct that, or set XDG_STATE_HOME.", 1)
    except Exception:  # noqa: BLE001 - the last supervisor: whatever it is, the log has it and the person a sentence
        _log.exception("! the engine failed")
        return outcome.fail(f"The engine failed, which is a mistake of ours; {configuration.log_file} says where.", 1)
    finally:
        log.close()


def _run(
    configuration: Configuration,
    account: Account,
    directory: Path,
    log: Log,
    outcome: Outcome,
    inheritance: Inheritance | None,
    arguments: argparse.Namespace,
) -> int:
    """Raises AlreadyRunning and OSError."""
    name = account.address_of_record.removeprefix("sip:")
    if inheritance is None:
        from phone import ahead

        locks = lock_both(directory, configuration.profile, name)
        begun = ahead.begin(paths.journal_file(), name, configuration.audio)
        password = _find_password(configuration, account, outcome)
        if password is None:
            return 1
    else:
        if inheritance.account != account.address_of_record:
            return outcome.fail("The settings name another account now; end the engine, then start it.", 1)
        locks, begun, password = inheritance.locks, None, inheritance.password
    log.redaction.add(password)
    from phone.cli import serve

    start = serve.Start(
        configuration=configuration, password=password, log=log, locks=locks, inheritance=inheritance, ahead=begun
    )
    return serve.serve(start, outcome, arguments)


def _inherit(descriptor: int | None) -> Inheritance | None:
    if descriptor is None:
        return None
    from phone.handover import Inheritance

    return Inheritance.receive(descriptor)


def _find_password(configuration: Configuration, account: Account, outcome: Outcome) -> str | None:
    """The password, empty where none is known; None after a failure that was told."""
    from phone import secrets

    try:
        secret = secrets.find(account, command=configuration.password_command, prompt=secrets.terminal_prompt())
    except secrets.SecretError as error:
        outcome.fail(str(error), 1)
        return None
    if secret is not None:
        return secret.password
    say.narrate(
        f"No password is known for {secrets.account_name(account)}; "
        "store it with offhook config set-password, or set OFFHOOK_PASSWORD."
    )
    return ""
