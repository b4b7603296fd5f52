"""Which address shows what: the list of runs, the page of one, and both as JSON for the scripts that keep them fresh."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import orjson

from asyncrun.errors import AsyncrunError, UnknownRunError
from asyncrun.escape import printable
from asyncrun.trace.page.html import render_page
from asyncrun.web.access import Access
from asyncrun.web.list_page import live_script, render_list
from asyncrun.web.messages import HTML, JSON, WebRequest, WebResponse, said, tagged
from asyncrun.web.runs import RunReader, Shown, Stamp

MOST_KEPT = 32
"""Documents that are kept for who asks again."""
SHORTEST = 0.05
"""Seconds since the last write in which a file's time does not tell two writes apart: what was read then is read again."""
LONGEST = {True: 1.0, False: 5.0}
"""Seconds after which a document is read again, by whether a run in it goes on: a run's time grows, and silence ends it."""
_RUN = re.compile(r"run/([\w-]{1,100}?)(\.json)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Kept:
    stamp: Stamp
    at: float
    body: bytes
    goes_on: bool


class Routes:
    """Answers requests out of a state folder. Blocks, and is not for several threads at once.

    Args:
        reader: reads the folder.
        access: who may ask.
        now: seconds since 1970, as files are stamped.
    """

    def __init__(self, reader: RunReader, access: Access, now: Callable[[], float]) -> None:
        self._reader = reader
        self._access = access
        self._now = now
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    def answer(self, request: WebRequest) -> WebResponse:
        """Return the answer to a request; an error of ours is one sentence, with 404 or 503."""
        refusal = self._access.refusal(request)
        if refusal is not None:
            return refusal
        try:
            return self._answer(request, request.path[len(self._access.base) :])
        except UnknownRunError as error:
            return said(404, printable(str(error)))
        except AsyncrunError as error:
            return said(503, printable(f"{error}. {error.hint}"))

    def _answer(self, request: WebRequest, place: str) -> WebResponse:
        known = request.headers.get("if-none-match")
        if place in ("", "runs.json"):
            file = request.query.get("file", "")
            number = request.query.get("page", "")
            page = int(number) if number.isascii() and number.isdigit() and len(number) < 10 else 1
            if place:
                return tagged(self._json(f"runs {page} {file}", lambda: self._reader.listed(page, file)), JSON, known)
            return WebResponse(200, render_list(self._reader.listed(page, file).document).encode(), HTML, _policy())
        found = _RUN.fullmatch(place)
        if found is None:
            return said(404, "There is nothing here.")
        run_id, is_json = found.groups()
        if is_json:
            return tagged(self._json(f"run {run_id}", lambda: self._reader.run(run_id)), JSON, known)
        return WebResponse(200, render_page(self._reader.run(run_id).document, live=live_script()).encode(), HTML, _policy())

    def _json(self, key: str, read: Callable[[], Shown]) -> bytes:
        """Return a document, read anew only when something was written or time tells."""
        now, stamp = self._now(), self._reader.stamp()
        kept = self._kept.pop(key, None)
        if kept is None or kept.stamp != stamp or not 0 <= now - kept.at < LONGEST[kept.goes_on] or _is_racy(kept):
            shown = read()
            kept = _Kept(stamp, now, orjson.dumps(shown.document, default=tuple), shown.goes_on)
        self._kept[key] = kept
        while len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
        return kept.body


def _is_racy(kept: _Kept) -> bool:
    """Tell whether the files were written so shortly before they were looked at that a later write may have the same time."""
    return any(found is not None and kept.at - found[2] / 1e9 < SHORTEST for found in kept.stamp)


def _policy() -> dict[str, str]:
    # The page itself says what it may run; a frame can only be forbidden here.
    return {"content-security-policy": "frame-ancestors 'none'"}
