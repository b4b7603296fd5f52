"""The vector of the known text, kept in its space like any other: whoever serves the space must make the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from asyncrun.errors import DamagedStateError
from asyncrun.ledger.key_index import keys_array
from asyncrun.ledger.ledger import Finished, Ledger
from asyncrun.records import Space, content_key

if TYPE_CHECKING:
    from asyncrun.records import Vectors


@dataclass(frozen=True, slots=True)
class Reference:
    """The reference of a space; `sent` is the known text as it is sent."""

    ledger: Ledger
    space: Space
    sent: str

    def known(self) -> tuple[Vectors | None, bool]:
        """Return the vector, None when there is none, and whether the space has vectors at all. Blocks."""
        index = self.ledger.index(self.space)
        positions = index.find(keys_array(content_key(self.sent)))
        if positions[0] < 0:
            return None, len(index) > 0
        try:
            [vector] = self.ledger.vectors(index, positions)
        except DamagedStateError:
            return None, True
        return np.asarray(vector), True

    async def keep(self, vector: Vectors) -> None:
        """Make a vector, shape (dimensions,), the reference; returns when it is durable."""
        await self.ledger.put(self.space, Finished([content_key(self.sent)], vector.reshape(1, -1), [0]))
