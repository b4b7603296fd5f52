"""An embedder of a program whose finished vectors are kept: what another program's pipeline embeds is paid for once, also after a kill."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import finalize

import numpy as np

from asyncrun.aio.bridge import run_then_leave
from asyncrun.aio.jobs import run_jobs
from asyncrun.app.state_lock import enter_state_folder
from asyncrun.clock import SystemClock
from asyncrun.errors import AsyncrunError, LockedError, TryLaterError
from asyncrun.jobs.in_flight import Leases
from asyncrun.ledger.key_index import keys_array
from asyncrun.ledger.ledger import TRUNCATED, Finished, Ledger
from asyncrun.packing import byte_size, pack
from asyncrun.process_locks import LOCK_TIMEOUT
from asyncrun.records import EmbedFailure, InputType, Space, text_key
from asyncrun.state_folder import CLAIMS, LEDGER, open_state_folder

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from asyncrun.embedders.base import BaseEmbedding

logger = logging.getLogger(__name__)

MOST_PROCESSES = 256
"""How many processes may use a folder in this way at once."""
_PAUSE = 0.01


class DurableEmbedder:
    """Embeds any number of texts, in batches, `workers` of the embedder at a time; used from any thread and any event loop.

    Args:
        embedder: one of `asyncrun.embedders`.
        folder: a state folder such as `.asyncrun`, whose ledger has what is finished; None: nothing is kept.

    A text that another call, thread or process is sending is waited for and not sent.
    """

    def __init__(self, embedder: BaseEmbedding, folder: str | Path | None = None) -> None:
        self.embedder = embedder
        self.folder = None if folder is None else Path(folder).absolute()
        self._opening = threading.Lock()
        self._opened: _OpenLedger | None = None

    def embed(self, texts: Sequence[str], input_type: InputType = InputType.DOCUMENT) -> list[list[float]]:
        """Return the vectors of texts, as `aembed`, from code that is not asynchronous, also where an event loop runs."""
        return run_then_leave(self.aembed(texts, input_type), self.embedder.leave_loop)

    async def aembed(self, texts: Sequence[str], input_type: InputType = InputType.DOCUMENT) -> list[list[float]]:
        """Return the vectors of texts, in their order.

        Raises ItemError for the first text that has none, and what ends the work (AuthError, OutageError and others): both when what was
        answered is in the ledger.
        """
        keys = [text_key(self.embedder.as_sent(text, input_type)) for text in texts]
        call = _Call(self.embedder, input_type, dict(zip(keys, texts, strict=True)))
        if self.folder is None:
            await call.send(list(call.texts))
        else:
            await self._through_ledger(call, await asyncio.to_thread(self._open, self.folder))
        for position, key in enumerate(keys):
            if (failure := call.failed.get(key)) is not None:
                raise failure.as_error(f"text {position}" if len(texts) > 1 else "")
        return [call.vectors[key].tolist() for key in keys]

    def close(self) -> None:
        """Close the ledger; may be called twice, and the next call opens it anew."""
        with self._opening:
            if self._opened is not None:
                self._opened.close()
            self._opened = None

    async def aclose(self) -> None:
        """Close the ledger and the embedder's connections."""
        await asyncio.to_thread(self.close)
        await self.embedder.aclose()

    def _open(self, folder: Path) -> _OpenLedger:
        with self._opening:
            if self._opened is None:
                self._opened = _OpenLedger(folder)
            return self._opened

    async def _through_ledger(self, call: _Call, opened: _OpenLedger) -> None:
        space = self.embedder.space(call.input_type)
        put = partial(opened.ledger.put, space)
        while True:
            await asyncio.to_thread(opened.look_up, space, call)
            missing = call.missing()
            if not missing:
                return
            async with opened.leases.take_texts(space.fingerprint, missing) as leased:
                # What was finished between the look and the lease is there now.
                await asyncio.to_thread(opened.look_up, space, call)
                mine = [key for key, is_mine in zip(missing, leased.mine, strict=True) if is_mine and key not in call.vectors]
                await call.send(mine, put)
                leased.failed.update({key: call.failed[key] for key in mine if key in call.failed})
                if leased.others:
                    call.failed.update(await leased.wait())


@dataclass(slots=True, eq=False)
class _Call:
    """The texts of one call by their keys, and what has become of them."""

    embedder: BaseEmbedding
    input_type: InputType
    texts: dict[bytes, str]
    vectors: dict[bytes, NDArray[np.float32]] = field(default_factory=dict)
    failed: dict[bytes, EmbedFailure] = field(default_factory=dict)

    def missing(self) -> list[bytes]:
        return [key for key in self.texts if key not in self.vectors and key not in self.failed]

    async def send(self, keys: Sequence[bytes], put: Callable[[Finished], Awaitable[object]] | None = None) -> None:
        """Embed texts in batches. Raises the first error about the endpoint, when what was in flight has been answered and kept."""
        errors: list[AsyncrunError] = []

        async def one(batch: list[bytes]) -> None:
            if errors:
                return
            answer = await self.embedder.aembed([self.texts[key] for key in batch], self.input_type)
            answered = [batch[position] for position in answer.positions]
            if answered and put is not None:
                await put(Finished(answered, answer.vectors, [TRUNCATED * (at in answer.truncated) for at in answer.positions]))
            self.vectors.update(zip(answered, answer.vectors, strict=True))
            self.failed.update({batch[failure.position]: failure for failure in answer.failures})
            if answer.error is not None:
                errors.append(answer.error)

        sized = ((key, byte_size(self.texts[key])) for key in keys)
        batches = pack(sized, self.embedder.batch, lambda: self.embedder.tokens_per_byte)
        await run_jobs((partial(one, batch) for batch in batches), workers=self.embedder.workers)
        if errors:
            raise errors[0]


class _OpenLedger:
    """A ledger that is in use, in a folder that nobody cleans meanwhile. Its methods block."""

    def __init__(self, folder: Path) -> None:
        stack = ExitStack()
        repaired = _enter(stack, open_state_folder(folder))
        if repaired is not None:
            logger.warning("%s", repaired)
        self.ledger = Ledger(folder / LEDGER, logger.warning)
        stack.callback(self.ledger.close)
        self.leases = Leases(folder / CLAIMS, "a program", SystemClock())
        self.close = finalize(self, stack.close)

    def look_up(self, space: Space, call: _Call) -> None:
        """Give a call the vectors that are finished."""
        keys = call.missing()
        index = self.ledger.index(space)
        found = index.find(keys_array(b"".join(keys)))
        there = np.flatnonzero(found >= 0)
        call.vectors.update(zip((keys[at] for at in there), self.ledger.vectors(index, found[there]), strict=True))


def _enter(stack: ExitStack, folder: Path) -> str | None:
    """Enter a state folder under the first name that no other process has. Raises as `enter_state_folder`."""
    end, number = time.monotonic() + LOCK_TIMEOUT, 1
    while True:
        try:
            return stack.enter_context(enter_state_folder(folder, folder / f"program-{number}"))
        except LockedError:
            if number == MOST_PROCESSES:
                raise
            number += 1
        except TryLaterError:
            # Another process is entering.
            if time.monotonic() >= end:
                raise
            time.sleep(_PAUSE)
