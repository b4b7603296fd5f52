"""Several replicas of one model: which of them serve, which are left out and why, and which may be sent to first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from asyncrun.aio.limits import Limits
from asyncrun.aio.permit import Reservation, reserve_first
from asyncrun.endpoints.endpoint import MAX_WORKERS, Endpoint
from asyncrun.errors import AsyncrunError, AuthError, EndpointError, OutageError, QuotaError, ThrottledError
from asyncrun.results import winning_exit_code

ABOUT_ENDPOINT = (AuthError, QuotaError, ThrottledError, OutageError, EndpointError)
"""Answers about an endpoint, whatever was sent: another one may take the same request."""


class ServedModel(Protocol):
    """A model at an endpoint of its own."""

    workers: int

    @property
    def endpoint(self) -> Endpoint:
        """Return where it is served."""

    def check(self) -> None:
        """Raise UsageError for what is known to be wrong."""

    async def aclose(self) -> None:
        """Close connections."""

    async def renew_connections(self) -> None:
        """Have new requests make new connections."""


M = TypeVar("M", bound=ServedModel)


@dataclass(slots=True, eq=False)
class Replica(Generic[M]):
    """One of several; `error` says why it is left out, None while it serves."""

    model: M
    error: AsyncrunError | None = None


class Replicas(Generic[M]):
    """Models that are alike in all but address, key and limits; each keeps its own limiter and circuit.

    Args:
        models: One or more, in the order of the job file.
        warn: Is told which are left out, and why; not of the last one, whose error ends the work.
    """

    def __init__(self, models: Sequence[M], warn: Callable[[str], object]) -> None:
        self.all = tuple(Replica(model) for model in models)
        self._warn = warn
        for model in models:
            model.endpoint.hide(secret for other in models for secret in other.endpoint.secrets)

    @property
    def models(self) -> list[M]:
        """Return the models, in their order."""
        return [replica.model for replica in self.all]

    @property
    def serving(self) -> list[Replica[M]]:
        """Return those that are not left out."""
        return [replica for replica in self.all if replica.error is None]

    @property
    def workers(self) -> int:
        """Return how many requests to all of them in flight make sense."""
        return min(sum(model.workers for model in self.models), MAX_WORKERS)

    @property
    def rate_limits(self) -> Limits:
        """Return what is known of the limits of all together; what is not known of one of them is not known."""
        return Limits.together([model.endpoint.limiter.known for model in self.models])

    def leave_out(self, replica: Replica[M], error: AsyncrunError) -> None:
        """Send nothing there any more; the first error counts."""
        if replica.error is None:
            replica.error = error
            if self.serving:
                self._warn(f"{replica.model.endpoint.host} is left out: {error.message}")

    def none_left(self) -> AsyncrunError:
        """Return the error when every one is left out."""
        return none_left({replica.model.endpoint.host: replica.error for replica in self.all if replica.error is not None})

    def check(self) -> None:
        """Raise UsageError for what is known to be wrong with one of them."""
        for model in self.models:
            model.check()

    async def aclose(self) -> None:
        """Close the connections of the running loop; may be called twice."""
        for model in self.models:
            await model.aclose()

    async def renew_connections(self) -> None:
        """Have new requests make new connections, as after the machine was suspended."""
        for model in self.models:
            await model.renew_connections()


async def reserve_at_first(
    among: Sequence[Replica[M]], *, tokens: float, inputs: int, output_tokens: float = 0
) -> tuple[Replica[M], Reservation]:
    """Return the replica whose limiter lets such a request go first, and the permission to send it."""
    limiters = [replica.model.endpoint.limiter for replica in among]
    which, reservation = await reserve_first(limiters, tokens=tokens, inputs=inputs, output_tokens=output_tokens)
    return among[which], reservation


def none_left(errors: Mapping[str, AsyncrunError]) -> AsyncrunError:
    """Return the error when every endpoint is left out, by hosts: of its class is the one whose exit code goes before.

    >>> none_left({"a": OutageError("a is down"), "b": AuthError("b answers 401")}).exit_code
    77
    """
    code = winning_exit_code(error.exit_code for error in errors.values())
    worst = next(error for error in errors.values() if error.exit_code == code)
    if len(errors) == 1:
        return worst
    said = "; ".join(error.message if error.message.startswith(host) else f"{host}: {error.message}" for host, error in errors.items())
    return type(worst)(f"no endpoint is left: {said}", hint=worst.hint)
