"""The command palette: every action of the registry by its title."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from textual.command import DiscoveryHit, Hit, Hits, Provider

from tui.actions import ACTIONS, keys_of
from tui.i18n import _

if TYPE_CHECKING:
    from tui.console import ConsoleApp


class ActionProvider(Provider):
    """Finds actions by their translated titles."""

    @property
    def _console(self) -> ConsoleApp:
        return self.app  # type: ignore[return-value]  # only ConsoleApp lists this provider

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
