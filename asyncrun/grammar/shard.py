"""One of the parts that an input is divided into, so that several machines, or several processes, each make one: `--shard 2/4`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from asyncrun.grammar.file_formats import part_path
from asyncrun.records import BadItem, Item, text_key
from asyncrun.short_help import ShortHelp

SHARDS = "I/N, the number of the shard and how many there are, such as 2/4"
_WORDS = re.compile(r"([0-9]{1,6})/([0-9]{1,6})")


@dataclass(frozen=True, slots=True)
class Shard(metaclass=ShortHelp):
    """The shard `number` (from 1) of so many: every item of an input is in exactly one of them, on every machine.

    Raises ValueError for a number that is not one of them.

    >>> shard = Shard(2, 4)
    >>> str(shard), shard.path("out/notes.parquet")
    ('2/4', 'out/notes.shard-2-of-4.parquet')
    """

    number: int
    of: int

    def __post_init__(self) -> None:
        """Refuse what no run could be joined from."""
        if self.of < 1 or not 1 <= self.number <= self.of:
            raise ValueError(f"there is no shard {self.number} of {self.of}, the first is 1")

    def __str__(self) -> str:
        """Return it as the command line has it."""
        return f"{self.number}/{self.of}"

    @property
    def suffix(self) -> str:
        """Return what tells names of this shard from those of the whole."""
        return f".shard-{self.number}-of-{self.of}"

    def path(self, path: str) -> str:
        """Return where the rows of this shard go, given where all would."""
        return part_path(path, self.suffix)

    def has(self, item: Item | BadItem) -> bool:
        """Tell whether an item belongs to this shard.

        Its text decides, so that equal texts are in one shard and are sent once; where there is none to read, its id does.
        """
        word = item.text if isinstance(item, Item) else item.id
        return int.from_bytes(text_key(word)[:8], "big") % self.of == self.number - 1


def parse_shard(text: str) -> Shard:
    """Return the shard that a flag names. Raises ValueError.

    >>> parse_shard("2/4")
    Shard(number=2, of=4)
    """
    if (words := _WORDS.fullmatch(text.strip())) is None:
        raise ValueError("not a shard")
    return Shard(int(words[1]), int(words[2]))
