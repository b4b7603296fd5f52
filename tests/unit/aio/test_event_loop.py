import asyncio
import sys
from types import SimpleNamespace

import pytest

from asyncrun.aio.bridge import asyncio_run
from asyncrun.aio.event_loop import loop_factory


async def running_loop() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


class FastLoop(asyncio.SelectorEventLoop):
    """Stands for uvloop's."""


def test_the_loop_is_uvloops_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", SimpleNamespace(new_event_loop=FastLoop))
    assert loop_factory() is FastLoop
    assert isinstance(asyncio.run(asyncio.to_thread(asyncio_run, running_loop())), FastLoop)


@pytest.mark.asyncio
async def test_so_it_is_inside_of_a_running_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", SimpleNamespace(new_event_loop=FastLoop))
    assert isinstance(asyncio_run(running_loop()), FastLoop)


def test_the_loop_is_asyncios_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert loop_factory() is None
    assert type(asyncio_run(running_loop())).__module__.startswith("asyncio")
