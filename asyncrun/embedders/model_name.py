"""The name that the replies of a place give their model: one for a whole run, since two names are two models, whose vectors do not mix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from asyncrun.errors import SpaceMismatchError

if TYPE_CHECKING:
    from asyncrun.endpoints.endpoint import Endpoint

_HINT = (
    "Name one version of the model, and an address where nothing else answers; or give the embedder another `space`: all is embedded anew "
    "in it. What was answered before is kept."
)


@dataclass(slots=True, eq=False)
class ModelName:
    """The name in the first reply that gave one, None before that; it may be another one than was asked for."""

    first: str | None = None

    def mismatch(self, told: str | None, endpoint: Endpoint) -> SpaceMismatchError | None:
        """Return the error when a reply names another model than those before; one that names none says nothing."""
        self.first = self.first or told or None
        if not told or told == self.first or self.first is None:
            return None
        before, now = endpoint.shown(self.first), endpoint.shown(told)
        words = f"{endpoint.host} answered as {before} before and answers as {now}: vectors of two models would be mixed"
        return SpaceMismatchError(words, hint=_HINT)
