"""The command palette: every action of the registry by its title."""

from __future__ import annotations

from functools import partial
from typing import Protocol, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider

from tui.actions import ACTIONS, keys_of
from tui.i18n import _


class Performer(Protocol):
    """The application, as the palette needs it."""

    async def perform(self, action: str) -> None:
        """Run an action of the registry."""
        ...


class ActionProvider(Provider):
    """Finds actions by their translated titles."""

    @property
    def _console(self) -> Performer:
        return cast("Performer", self.app)  # only a console lists this provider

    async def discover(self) -> Hits:
        """All actions."""
        for action in ACTIONS:
            title = f"{_(action.title)}  ({keys_of(action.id)})"
            yield DiscoveryHit(title, partial(self._console.perform, action.id), help=_(action.help))

    async def search(self, query: str) -> Hits:
        """Actions whose title matches."""
        matcher = self.matcher(query)
        for action in ACTIONS:
            title = _(action.title)
            if (score := matcher.match(title)) > 0:
                run = partial(self._console.perform, action.id)
                yield Hit(score, matcher.highlight(title), run, help=_(action.help))
