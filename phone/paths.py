"""Where Offhook keeps its files (XDG base directories), and the rules for the control socket's directory.

    $XDG_CONFIG_HOME/offhook/config.toml     settings; NAME.toml beside it for profile NAME
    $XDG_STATE_HOME/offhook/                 offhook.db, logs, locks, recordings/
    $XDG_RUNTIME_DIR/offhook/PROFILE.sock    control socket, else a private directory under the temporary folder

Whoever owns the socket's directory can stand in for the engine, so a shared one is checked before it is trusted.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

APPLICATION = "offhook"
DEFAULT_PROFILE = "default"
_PROFILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")
_MAX_SOCKET_PATH_BYTES = 104
"""sun_path holds 108 bytes on Linux and 104 elsewhere, with the final zero."""


class PathError(Exception):
    """A path that cannot be used; the message is one plain sentence for the user."""


def check_profile(name: str) -> str:
    """Return ``name`` when it can be part of a file name; raises PathError."""
    if not _PROFILE.fullmatch(name):
        raise PathError(f"{name!r} is not a profile name; use letters, digits, dots, dashes and underscores.")
    return name


def config_directory(environ: Mapping[str, str] = os.environ) -> Path:
    """The user's directory of settings; it may not exist."""
    return _base(environ, "XDG_CONFIG_HOME", ".config") / APPLICATION


def user_config_file(environ: Mapping[str, str] = os.environ, *, profile: str = DEFAULT_PROFILE) -> Path:
    """The settings file of a profile; it may not exist."""
    name = "config.toml" if profile == DEFAULT_PROFILE else f"{profile}.toml"
    return config_directory(environ) / name


def site_config_files(environ: Mapping[str, str] = os.environ) -> tuple[Path, ...]:
    """Settings for all users of the machine, the most important one last."""
    listed = [item for item in environ.get("XDG_CONFIG_DIRS", "").split(":") if item.startswith("/")]
    return tuple(Path(item) / APPLICATION / "config.toml" for item in reversed(listed or ["/etc/xdg"]))


def state_directory(environ: Mapping[str, str] = os.environ) -> Path:
    """The directory of database, logs and locks; it may not exist."""
    return _base(environ, "XDG_STATE_HOME", ".local/state") / APPLICATION


def journal_file(environ: Mapping[str, str] = os.environ) -> Path:
    """What an engine leaves to the next one; it may not exist."""
    return state_directory(environ) / "journal.db"


def recordings_directory(environ: Mapping[str, str] = os.environ) -> Path:
    """Where calls are recorded to unless another directory is named; it may not exist."""
    return state_directory(environ) / "recordings"


def log_file(environ: Mapping[str, str] = os.environ, *, profile: str = DEFAULT_PROFILE) -> Path:
    """The engine's log. Each profile has its own, because two processes cannot rotate one file."""
    name = "offhook.log" if profile == DEFAULT_PROFILE else f"offhook-{profile}.log"
    return state_directory(environ) / name


def socket_path(environ: Mapping[str, str] = os.environ, *, profile: str = DEFAULT_PROFILE) -> Path:
    """The control socket of a profile where no explicit one is given. Nothing is made or checked."""
    return _runtime_directory(environ) / f"{profile}.sock"


def check_socket_path(path: Path) -> Path:
    """Return ``path`` when the system can bind it; raises PathError."""
    if len(os.fsencode(path)) >= _MAX_SOCKET_PATH_BYTES:
        raise PathError(f"The socket path {path} is longer than {_MAX_SOCKET_PATH_BYTES - 1} bytes; choose a shorter.")
    return path


def is_default_socket(path: Path, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether ``path`` lies in the directory this module answers for, rather than in one a user named."""
    return path.parent == _runtime_directory(environ)


def prepare_socket_directory(path: Path, environ: Mapping[str, str] = os.environ) -> None:
    """Make the directory of a socket, or check the one there is. That of an explicit socket is left alone.

    Raises PathError where it cannot be made or trusted.
    """
    if not is_default_socket(path, environ):
        return
    directory = path.parent
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if directory.is_dir() and not directory.is_symlink() and "XDG_RUNTIME_DIR" in environ:
            directory.chmod(0o700)  # its parent is private, so this is only a slip of somebody's umask
    except OSError as error:
        raise PathError(f"Cannot make {directory}: {error.strerror}; set XDG_RUNTIME_DIR, or use --socket.") from error
    check_socket_directory(path, environ)


def check_socket_directory(path: Path, environ: Mapping[str, str] = os.environ) -> None:
    """Refuse a socket directory that somebody else could have made; raises PathError. A missing one is fine."""
    if not is_default_socket(path, environ):
        return
    directory = path.parent
    try:
        found = directory.lstat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise PathError(f"Cannot look at {directory}: {error.strerror}.") from error
    if not stat.S_ISDIR(found.st_mode):
        raise PathError(f"{directory} is not a directory; remove it, or use --socket.")
    if found.st_uid != os.getuid():
        raise PathError(f"{directory} belongs to another user; remove it, or use --socket.")
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise PathError(f"{directory} is open to other users; run chmod 700 on it, or use --socket.")


def make_private(directory: Path) -> Path:
    """Make a directory of ours, mode 0700; raises PathError. One that exists keeps its mode."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise PathError(f"Cannot make {directory}: {error.strerror}.") from error
    return directory


def _runtime_directory(environ: Mapping[str, str]) -> Path:
    runtime = environ.get("XDG_RUNTIME_DIR", "")
    if runtime.startswith("/"):  # "If ... a relative path is encountered, it should be ignored" (XDG base directories)
        return Path(runtime) / APPLICATION
    temporary = next((environ[name] for name in ("TMPDIR", "TEMP", "TMP") if environ.get(name, "").startswith("/")), "")
    return Path(temporary or "/tmp") / f"{APPLICATION}-{os.getuid()}"  # noqa: S108 - owner and mode are checked


def _base(environ: Mapping[str, str], variable: str, default: str) -> Path:
    value = environ.get(variable, "")
    if value.startswith("/"):
        return Path(value)
    home = environ.get("HOME", "")
    if home.startswith("/"):
        return Path(home) / default
    try:
        return Path("~").expanduser() / default
    except RuntimeError:  # a user without an entry in the user database, as in many containers
        raise PathError(f"There is no home directory; set HOME or {variable}.") from None
