"""XDG base directories, and who may own the control socket's directory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from phone import paths


def test_xdg_variables_win(tmp_path: Path) -> None:
    environ = {
        "XDG_CONFIG_HOME": "/c",
        "XDG_STATE_HOME": "/s",
        "XDG_RUNTIME_DIR": "/r",
        "XDG_CONFIG_DIRS": "/etc/one:/etc/two",
        "HOME": str(tmp_path),
    }
    assert paths.user_config_file(environ) == Path("/c/offhook/config.toml")
    assert paths.user_config_file(environ, profile="work") == Path("/c/offhook/work.toml")
    assert paths.state_directory(environ) == Path("/s/offhook")
    assert paths.log_file(environ) == Path("/s/offhook/offhook.log")
    assert paths.log_file(environ, profile="work") == Path("/s/offhook/offhook-work.log")
    assert paths.socket_path(environ) == Path("/r/offhook/default.sock")
    assert paths.socket_path(environ, profile="work") == Path("/r/offhook/work.sock")
    # "The order of base directories denotes their importance; the first directory listed is the most important."
    assert [str(file) for file in paths.site_config_files(environ)] == [
        "/etc/two/offhook/config.toml",
        "/etc/one/offhook/config.toml",
    ]


def test_defaults_lie_below_home() -> None:
    environ = {"HOME": "/home/x"}
    assert paths.user_config_file(environ) == Path("/home/x/.config/offhook/config.toml")
    assert paths.state_directory(environ) == Path("/home/x/.local/state/offhook")
    assert paths.site_config_files(environ) == (Path("/etc/xdg/offhook/config.toml"),)


def test_relative_variables_are_ignored() -> None:
    """XDG base directory specification: "all paths must be absolute ... consider the path invalid and ignore it"."""
    environ = {"HOME": "/home/x", "XDG_CONFIG_HOME": "here", "XDG_RUNTIME_DIR": "there", "TMPDIR": "/t"}
    assert paths.config_directory(environ) == Path("/home/x/.config/offhook")
    assert paths.socket_path(environ) == Path(f"/t/offhook-{os.getuid()}/default.sock")


@pytest.mark.parametrize("name", ["", ".", "../x", "a/b", "a b", "-x", "x" * 65])
def test_profile_names_are_file_names(name: str) -> None:
    with pytest.raises(paths.PathError, match="profile name"):
        paths.check_profile(name)


def test_a_socket_path_too_long_to_bind_is_refused() -> None:
    with pytest.raises(paths.PathError, match="longer than"):
        paths.check_socket_path(Path("/" + "x" * 110))


class TestPrivateDirectory:
    """Without XDG_RUNTIME_DIR the socket lies below a folder everybody may write to."""

    def environ(self, tmp_path: Path) -> dict[str, str]:
        return {"TMPDIR": str(tmp_path)}

    def test_is_made_private(self, tmp_path: Path) -> None:
        environ = self.environ(tmp_path)
        path = paths.socket_path(environ)
        paths.prepare_socket_directory(path, environ)
        assert path.parent.stat().st_mode & 0o777 == 0o700

    def test_open_to_others_is_refused(self, tmp_path: Path) -> None:
        environ = self.environ(tmp_path)
        path = paths.socket_path(environ)
        path.parent.mkdir()
        path.parent.chmod(0o755)
        for check in (paths.prepare_socket_directory, paths.check_socket_directory):
            with pytest.raises(paths.PathError, match="open to other users"):
                check(path, environ)

    @pytest.mark.skipif(os.getuid() != 0, reason="needs root to give a directory away")
    def test_of_another_user_is_refused(self, tmp_path: Path) -> None:
        environ = self.environ(tmp_path)
        path = paths.socket_path(environ)
        path.parent.mkdir(mode=0o700)
        os.chown(path.parent, 65534, 65534)
        with pytest.raises(paths.PathError, match="belongs to another user"):
            paths.prepare_socket_directory(path, environ)

    def test_a_link_is_refused(self, tmp_path: Path) -> None:
        environ = self.environ(tmp_path)
        path = paths.socket_path(environ)
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        path.parent.symlink_to(tmp_path / "elsewhere")
        with pytest.raises(paths.PathError, match="not a directory"):
            paths.prepare_socket_directory(path, environ)

    def test_missing_is_no_trouble_to_a_client(self, tmp_path: Path) -> None:
        environ = self.environ(tmp_path)
        paths.check_socket_directory(paths.socket_path(environ), environ)


def test_below_the_runtime_directory_a_loose_mode_is_tightened(tmp_path: Path) -> None:
    environ = {"XDG_RUNTIME_DIR": str(tmp_path)}
    path = paths.socket_path(environ)
    path.parent.mkdir()
    path.parent.chmod(0o755)
    paths.prepare_socket_directory(path, environ)
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_the_directory_of_an_explicit_socket_is_left_alone(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    paths.prepare_socket_directory(tmp_path / "my.sock", {"XDG_RUNTIME_DIR": "/elsewhere"})
    assert tmp_path.stat().st_mode & 0o777 == 0o777


def test_no_home_at_all_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without HOME and without an entry in the user database, as in many containers."""
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000_000)
    with pytest.raises(paths.PathError, match="set HOME or XDG_CONFIG_HOME"):
        paths.user_config_file({})
