"""What is open of a job's answers: conversations that are going on, the rows that wait for them, and the blocks that rows stand in."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from asyncrun.jobs.conversations import AskedItem, Conversation, Failed, State, Valid


@dataclass(slots=True, eq=False)
class Talk:
    """A conversation and how it stands; `rows` are those that wait for it, `asked` tells whether this run has asked it.

    The block of its first row has leased it.
    """

    conversation: Conversation
    state: State
    rows: list[AskedRow] = field(default_factory=list)
    asked: bool = False


@dataclass(slots=True, eq=False)
class AskedRow:
    """An item with its talks; `open` is how many of them have not ended."""

    asked: AskedItem
    talks: tuple[Talk, ...]
    block: AnswerBlock
    open: int = 0

    @property
    def failed(self) -> Failed | None:
        """Return why it has no row, None where nothing says so."""
        return self.asked.failed or next((talk.state for talk in self.talks if isinstance(talk.state, Failed)), None)

    @property
    def answers(self) -> list[Valid] | None:
        """Return its answers, None unless all are there."""
        found = [talk.state for talk in self.talks if isinstance(talk.state, Valid)]
        return found if self.asked.failed is None and len(found) == len(self.talks) else None


@dataclass(slots=True, eq=False)
class AnswerBlock:
    """Rows that are looked up, leased and written together.

    `open` is how many of them have not ended, `asking` how many talks are going on.
    """

    rows: list[AskedRow] = field(default_factory=list)
    open: int = 0
    asking: int = 0
    leases: AsyncExitStack = field(default_factory=AsyncExitStack)
    _quiet: asyncio.Event = field(default_factory=asyncio.Event)

    def talk_ended(self) -> None:
        """Count a talk that goes on no more."""
        self.asking -= 1
        if not self.asking:
            self._quiet.set()

    async def wait_until_quiet(self) -> None:
        """Return when no talk goes on."""
        while self.asking:
            self._quiet.clear()
            await self._quiet.wait()
