"""The version of this installation."""

from __future__ import annotations


def version() -> str:
    """The installed version; that of an uninstalled source tree is unknown."""
    import importlib.metadata  # slow, and wanted rarely

    try:
        return importlib.metadata.version("offhook")
    except importlib.metadata.PackageNotFoundError:
        return "0+source"
