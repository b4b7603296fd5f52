"""An output of a notebook's cell that can be shown anew in its place; IPython is not imported for it."""

from __future__ import annotations

import sys
from typing import Any


class CellOutput:
    """An output of the cell that runs, which can be shown anew in its place. Any thread of the call may use it."""

    def __init__(self, display: Any) -> None:
        self._display = display
        self._handle: Any = None

    def show(self, **forms: str) -> None:
        """Show the same thing in several forms, `html` and `text`; the front end chooses one."""
        types = {"html": "text/html", "text": "text/plain"}
        bundle = {types[form]: content for form, content in forms.items()}
        if self._handle is None:
            self._handle = self._display(bundle, raw=True, display_id=True)
        else:
            self._handle.update(bundle, raw=True)


def new_cell_output() -> CellOutput | None:
    """Return a new output of the cell that runs in this process, None outside of a notebook.

    IPython is not imported for it: where a cell runs, it is there.
    """
    ipython = sys.modules.get("IPython")
    shell = getattr(ipython, "get_ipython", lambda: None)()
    if getattr(shell, "kernel", None) is None:  # IPython on a terminal has none
        return None
    from IPython.display import display

    return CellOutput(display)
