"""The couriers of a manager's asynchronous handlers, one for each, made when it is first told of something."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asyncrun.callbacks.async_delivery import Courier
    from asyncrun.callbacks.handler import BaseCallbackHandler


class Couriers:
    """Passes calls to the right courier. A stop that a handler has asked for is raised by the next call here, once."""

    def __init__(self) -> None:
        self._couriers: dict[int, tuple[BaseCallbackHandler, Courier]] = {}

    def send(self, handler: BaseCallbackHandler, call: Coroutine[Any, Any, Any]) -> bool:
        """Have a coroutine of this handler awaited after those before it; False when the handler is switched off."""
        if id(handler) not in self._couriers:
            from asyncrun.callbacks.async_delivery import Courier

            limits = {name: getattr(handler, name) for name in ("most_waiting", "time_limit") if hasattr(handler, name)}
            self._couriers[id(handler)] = handler, Courier(type(handler).__name__, **limits)
        courier = self._couriers[id(handler)][1]
        on = courier.send(call)
        _raise_stop(courier)
        return on

    def flush(self, seconds: float) -> bool:
        """Wait until all that was sent so far has been delivered; False when that takes longer than `seconds`."""
        couriers = [courier for _, courier in list(self._couriers.values())]
        delivered = all(courier.flush(seconds) for courier in couriers)
        _raise_stop(*couriers)
        return delivered

    def close(self, seconds: float) -> None:
        """Deliver what has been sent, for `seconds` each at most, and end the threads."""
        closed = []
        while self._couriers:
            closed.append(self._couriers.popitem()[1][1])
            closed[-1].close(seconds)
        _raise_stop(*closed)


def _raise_stop(*couriers: Courier) -> None:
    stops = [stop for courier in couriers if (stop := courier.take_stop()) is not None]
    if stops:
        try:
            raise stops[0]
        finally:
            stops.clear()  # its traceback holds this frame
