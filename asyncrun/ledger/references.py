"""The vector of one text of ours, kept in a space: whoever serves the space must make the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from asyncrun.errors import DamagedStateError
from asyncrun.ledger.index import keys_array
from asyncrun.ledger.ledger import Finished, Ledger
from asyncrun.records import Space, content_key

if TYPE_CHECKING:
    from asyncrun.records import Vectors

_KEY = content_key("\ud800reference")
"""No text that is sent has it: half a surrogate pair never is."""


@dataclass(frozen=True, slots=True)
class Reference:
    """The reference of a space. `known` blocks."""

    ledger: Ledger
    space: Space

    def known(self) -> tuple[Vectors | None, bool]:
        """Return the vector, None when there is none, and whether the space has vectors at all."""
        index = self.ledger.index(self.space)
        positions = index.find(keys_array(_KEY))
        if positions[0] < 0:
            return None, len(index) > 0
        try:
            [vector] = self.ledger.vectors(index, positions)
        except DamagedStateError:
            return None, True
        return np.asarray(vector), True

    async def keep(self, vector: Vectors) -> None:
        """Make a vector, shape (dimensions,), the reference; returns when it is durable."""
        await self.ledger.put(self.space, Finished([_KEY], vector.reshape(1, -1), [0]))
