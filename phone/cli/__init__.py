"""The command line: ``phone.cli:main`` is what ``offhook`` runs."""

from phone.cli.entry import main

__all__ = ["main"]
