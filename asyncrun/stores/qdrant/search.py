"""How the Qdrant store searches: what the server answers is looked at once more, and ranked by us."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from asyncrun.errors import TryLaterError
from asyncrun.grammar.filter import Filter
from asyncrun.grammar.filter_match import matches
from asyncrun.records import Hit
from asyncrun.stores.interface import SearchRequest
from asyncrun.stores.nearest import Answered, Candidate, cosines, question_of, rank_candidates
from asyncrun.stores.plain_text import from_plain
from asyncrun.stores.qdrant.collection import PointCollection
from asyncrun.stores.qdrant.filters import compile_filter
from asyncrun.stores.qdrant.points import VECTOR, KnownDocument, document_id, hit_of

_TRIES = 10
_QUESTIONS_AT_ONCE = 32


class _ChangedError(Exception):
    """Documents have changed between two exchanges of one search."""


def search_points(
    collection: PointCollection, space: Mapping[str, Any], requests: Sequence[SearchRequest], filters: Mapping[str, Filter]
) -> list[list[Hit]]:
    """Return the hits of each request; `space` is the collection's, `filters` holds what their filters mean."""
    for _ in range(_TRIES):
        try:
            return _PointSearch(collection, space, filters).search(requests)
        except _ChangedError:
            space = collection.space() or space
    raise TryLaterError(f"others write to the collection {collection.name} all the time", hint="Run the same command again later.")


class _PointSearch:
    """Answers requests; what has changed since the revision in `space` was read ends it with _ChangedError."""

    def __init__(self, collection: PointCollection, space: Mapping[str, Any], filters: Mapping[str, Filter]) -> None:
        self._collection = collection
        self._space = space
        self._filters = filters
        self._known: dict[str, KnownDocument] = {}
        self._most = -1

    def search(self, requests: Sequence[SearchRequest]) -> list[list[Hit]]:
        together: dict[str | None, list[int]] = {}
        for position, request in enumerate(requests):
            together.setdefault(request.filter, []).append(position)
        found: dict[int, list[Hit]] = {}
        for text, positions in together.items():
            for start in range(0, len(positions), _QUESTIONS_AT_ONCE):
                some = positions[start : start + _QUESTIONS_AT_ONCE]
                found.update(zip(some, self._answer([requests[position] for position in some], text), strict=True))
        return [found[position] for position in range(len(requests))]

    def _answer(self, requests: Sequence[SearchRequest], text: str | None) -> list[list[Hit]]:
        tree = None if text is None else self._filters[text]
        condition = None if tree is None else compile_filter(tree)
        questions = [question_of(request, self._space["dimensions"]) for request in requests]
        wanted = [max(0, request.top_k) for request in requests]
        first = max(wanted) + 1
        answers = self._collection.query([(question.tolist(), first) for question in questions], condition)
        self._learn([point for points in answers for point in points])
        found = []
        for question, points, count in zip(questions, answers, wanted, strict=True):

            def ask(asked: int, question: Any = question, points: Any = points) -> Answered:
                if asked > first:
                    [points] = self._collection.query([(question.tolist(), asked)], condition)
                    self._learn(points)
                return self._looked_at(points, question, tree)

            ranking = rank_candidates(ask, count, self._all())
            found.append([hit_of(each.row[0], each.row[1].metadata, each.score) for each in ranking])
        return found

    def _all(self) -> int:
        """Return how many chunks the collection may have answered."""
        if self._most < 0:
            self._most = self._collection.count_chunks()
        return self._most

    def _learn(self, points: Sequence[Any]) -> None:
        """Read the documents of points; that one is nobody's is sure only where nothing has changed meanwhile."""
        ids = {_document_of(point.payload) for point in points} - self._known.keys()
        self._known |= self._collection.find(sorted(ids))
        if any(self._owner(point.payload) is None for point in points):
            now = self._collection.space()
            if now is None or now["revision"] != self._space["revision"]:
                raise _ChangedError

    def _owner(self, payload: Mapping[str, Any]) -> KnownDocument | None:
        """Return the document that a chunk belongs to, None for one that is nobody's."""
        known = self._known.get(_document_of(payload))
        return known if known is not None and known.ref == payload["ref"] else None

    def _looked_at(self, points: Sequence[Any], question: Any, tree: Filter | None) -> Answered:
        if not points:
            return Answered([], 0, 0.0)
        scores = cosines(np.array([point.vector[VECTOR] for point in points], dtype=np.float32), question)
        candidates = [
            Candidate(score, from_plain(point.payload["chunk_id"]), from_plain(point.payload["source"]), (point.payload, owner))
            for point, score in zip(points, scores, strict=True)
            if (owner := self._owner(point.payload)) is not None and (tree is None or matches(tree, owner.metadata))
        ]
        return Answered(candidates, len(points), min(scores))


def _document_of(payload: Mapping[str, Any]) -> str:
    return document_id(from_plain(payload["source"]), from_plain(payload["doc_id"]))
