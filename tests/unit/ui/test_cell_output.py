from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from asyncrun.ui.cell_output import CellOutput, new_cell_output


def ipython(monkeypatch: pytest.MonkeyPatch, shell: object) -> None:
    package, display = ModuleType("IPython"), ModuleType("IPython.display")
    package.get_ipython = lambda: shell  # type: ignore[attr-defined]
    display.display = lambda *_, **__: None  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", package)
    monkeypatch.setitem(sys.modules, "IPython.display", display)


def test_a_kernel_has_outputs(monkeypatch: pytest.MonkeyPatch) -> None:
    ipython(monkeypatch, SimpleNamespace(kernel=object()))
    assert isinstance(new_cell_output(), CellOutput)


@pytest.mark.parametrize("shell", [None, SimpleNamespace(), SimpleNamespace(kernel=None)])
def test_outside_of_a_kernel_there_is_none(monkeypatch: pytest.MonkeyPatch, shell: object) -> None:
    ipython(monkeypatch, shell)
    assert new_cell_output() is None


def test_ipython_is_not_imported_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert new_cell_output() is None
    assert "IPython" not in sys.modules


def test_what_is_shown_again_takes_the_place_of_what_was_shown() -> None:
    shown: list[tuple[str, Any]] = []

    def display(bundle: dict[str, str], *, raw: bool, display_id: bool) -> SimpleNamespace:
        shown.append(("new", bundle))
        return SimpleNamespace(update=lambda bundle, raw: shown.append(("again", bundle)))

    output = CellOutput(display)
    output.show(html="<b>1</b>", text="1")
    output.show(text="2")
    assert shown == [("new", {"text/html": "<b>1</b>", "text/plain": "1"}), ("again", {"text/plain": "2"})]
