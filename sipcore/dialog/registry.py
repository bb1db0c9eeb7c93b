"""Who is there: live calls, and dialogs that are being ended (RFC 3261 §12.2.2)."""

from sipcore.dialog.core import Core
from sipcore.dialog.dialog import Dialog, DialogId
from sipcore.dialog.farewell import Farewell
from sipcore.dialog.session import State
from sipcore.dialog.usage import Usage
from sipcore.events import CallId
from sipcore.message.fields import Replaces
from sipcore.message.message import Request

_CALL_ID_BITS = 25
_MAX_FAREWELLS = 256


class Registry:
    """Owns the calls of an account."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self.calls: dict[CallId, Usage] = {}
        self._farewells: dict[CallId, Farewell] = {}

    def begin(self, state: State) -> Usage:
        """A new call, known from now on."""
        call_id = self._new_id()
        usage = self.calls[call_id] = Usage(self._core, call_id, state, self)
        return usage

    def adopt(self, call_id: CallId) -> Usage:
        """An answered call of another process, known under its id from now on."""
        usage = self.calls[call_id] = Usage(self._core, call_id, State.CONFIRMED, self)
        return usage

    def owe_farewell(self, dialog: Dialog, now: float) -> None:
        """Keep the farewell to a dialog of another process, which is said once there is a flow."""
        key = self._new_id()
        farewell = Farewell(self._core, key, dialog)
        self.say_farewell(farewell, key)
        farewell.keep(now)
        if self._core.flow is not None:
            farewell.flow_recovered(now)

    def ended(self, call: CallId) -> None:
        """Forget a call."""
        self.calls.pop(call, None)

    def say_farewell(self, farewell: Farewell, key: CallId) -> None:
        """Keep a farewell until the peer has heard it."""
        self._farewells[key] = farewell
        if len(self._farewells) > _MAX_FAREWELLS:
            self._farewells.pop(next(iter(self._farewells)))

    def end_dialog(self, dialog: Dialog, now: float) -> None:
        """Send a BYE in a dialog nobody wants: a fork's, or one whose call is over."""
        key = self._new_id()
        farewell = Farewell(self._core, key, dialog)
        self.say_farewell(farewell, key)
        farewell.start(now)

    def find(self, wanted: DialogId) -> tuple[Usage, Dialog] | None:
        """The call and the dialog with that identity."""
        for usage in self.calls.values():
            if dialog := usage.dialog_of(wanted):
                return usage, dialog
        return None

    def farewell_of(self, wanted: DialogId) -> Farewell | None:
        """The farewell to the dialog with that identity."""
        return next((item for item in self._farewells.values() if item.dialog.id == wanted), None)

    def farewell(self, key: CallId) -> Farewell | None:
        """The farewell kept under ``key``."""
        return self._farewells.get(key)

    def replaced_by(self, replaces: Replaces) -> Usage | None:
        """The call an INVITE with Replaces means (RFC 3891 §3)."""
        found = self.find((replaces.call_id, replaces.to_tag, replaces.from_tag))
        return found[0] if found else None

    def farewells(self) -> list[Farewell]:
        """Every farewell that is kept."""
        return list(self._farewells.values())

    def sweep(self) -> None:
        """Forget the farewells that were heard."""
        for key in [key for key, farewell in self._farewells.items() if farewell.over]:
            del self._farewells[key]

    def _new_id(self) -> CallId:
        while True:
            token = self._core.ids.token(_CALL_ID_BITS)
            if token not in self.calls and token not in self._farewells:
                return token


def dialog_id_of(request: Request) -> DialogId | None:
    """The dialog a request names, from our side, or None outside of one; raises ParseError."""
    local, remote = request.to.tag, request.from_.tag
    return None if local is None else (request.call_id, local, remote or "")
