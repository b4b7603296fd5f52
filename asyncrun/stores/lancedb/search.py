"""How the LanceDB store searches: at one version of a table, by vector and by words, each row of an answer looked at once more."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from asyncrun.grammar.filter import Filter
from asyncrun.grammar.filter_match import matches
from asyncrun.records import Hit
from asyncrun.stores.fusion import fuse, fusion_depth
from asyncrun.stores.interface import SearchRequest
from asyncrun.stores.lancedb.names import NamedTable
from asyncrun.stores.lancedb.rows import DOCUMENT, DocumentHeads, hit_of
from asyncrun.stores.lancedb.table import read_rows, vectors_of
from asyncrun.stores.nearest import Answered, Candidate, cosines, question_of, rank_candidates
from asyncrun.stores.plain_text import from_plain

_COLUMNS = ["key", "ref", "source", "doc_id", "chunk_id", "text", "metadata", "about", "ordinal", "start", "end"]
FEW = 5_000
"""So many documents are named to LanceDB, which takes a second for 50,000; more are no rare ones, and are found by asking for more rows."""
_QUESTIONS_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class Allowed:
    """The documents that pass a filter, by key, and the condition that tells LanceDB of them, where it is told."""

    keys: frozenset[str]
    condition: str | None


@dataclass(slots=True, eq=False)
class TableSearch:
    """Answers requests on one version of a table; remembers which documents pass the filters that it has met.

    What comes from a user reaches LanceDB as a value alone: vectors, and words that are asked by its own kind of query.
    """

    table: Any
    named: NamedTable
    heads: DocumentHeads
    _allowed: dict[str, Allowed] = field(default_factory=dict)
    _rows: int = -1

    def search(self, requests: Sequence[SearchRequest], filters: Mapping[str, Filter]) -> list[list[Hit]]:
        """Return the hits of each request; `filters` holds what their filters mean."""
        if self._rows < 0:
            self._rows = self.table.count_rows()
        by_vector = self._rank_by_vector(requests, filters)
        found = []
        for position, request in enumerate(requests):
            ranking = by_vector.get(position, [])
            if request.mode == "keyword":
                ranking = self._rank_by_words(request, filters, request.top_k)
            elif request.mode == "hybrid":
                words = self._rank_by_words(request, filters, fusion_depth(request.top_k))
                ranking = _fused(ranking, words)
            found.append([hit_of(each.row, each.score) for each in ranking[: max(0, request.top_k)]])
        return found

    def _rank_by_vector(self, requests: Sequence[SearchRequest], filters: Mapping[str, Filter]) -> dict[int, list[Candidate]]:
        """Return the rankings of the requests that ask by vector, by position; those with the same filter are asked together."""
        together: dict[str | None, list[int]] = {}
        for position, request in enumerate(requests):
            if request.mode != "keyword":
                together.setdefault(request.filter, []).append(position)
        rankings: dict[int, list[Candidate]] = {}
        for text, positions in together.items():
            allowed = self._passing(text, filters)
            for start in range(0, len(positions), _QUESTIONS_AT_ONCE):
                some = positions[start : start + _QUESTIONS_AT_ONCE]
                questions = np.stack([question_of(requests[position], self.named.dimensions) for position in some])
                wanted = [_depth(requests[position]) for position in some]
                rankings.update(zip(some, self._nearest(questions, wanted, allowed), strict=True))
        return rankings

    def _nearest(self, questions: np.ndarray[Any, Any], wanted: Sequence[int], allowed: Allowed | None) -> list[list[Candidate]]:
        if (allowed is not None and not allowed.keys) or not self.heads.of_now:
            return [[] for _ in wanted]
        first = max(1, min(self._first(max(wanted), allowed), self._rows))
        answers = self._ask(questions, first, allowed)
        rankings = []
        for question, answer, count in zip(questions, answers, wanted, strict=True):

            def ask(asked: int, question: Any = question, answer: Answered = answer) -> Answered:
                return answer if asked <= first else self._ask(question[np.newaxis], asked, allowed)[0]

            rankings.append(rank_candidates(ask, count, self._rows, first))
        return rankings

    def _ask(self, questions: np.ndarray[Any, Any], count: int, allowed: Allowed | None) -> list[Answered]:
        query = self.table.search(list(questions)).metric("cosine").select([*_COLUMNS, "vector", "_distance"])
        rows = _restricted(query, allowed).limit(count).to_arrow()
        vectors = vectors_of(rows, self.named.width)
        # A table that answers one question alone does not say which.
        asked = rows.column("query_index").to_numpy() if "query_index" in rows.column_names else np.zeros(len(rows), dtype=np.int32)
        listed = rows.select(_COLUMNS).to_pylist()
        answers = []
        for number, question in enumerate(questions):
            places = np.flatnonzero(asked == number)
            scores = cosines(vectors[places], question)
            answers.append(self._looked_at([listed[place] for place in places], scores, allowed))
        return answers

    def _rank_by_words(self, request: SearchRequest, filters: Mapping[str, Filter], wanted: int) -> list[Candidate]:
        from lancedb.query import MatchQuery

        allowed = self._passing(request.filter, filters)
        words = " ".join(dict.fromkeys(request.text.encode("utf-8", "replace").decode().split()))
        if (allowed is not None and not allowed.keys) or not words:
            return []

        def ask(count: int) -> Answered:
            query = self.table.search(MatchQuery(words, "text")).select([*_COLUMNS, "_score"])
            listed = _restricted(query, allowed).limit(count).to_arrow().to_pylist()
            return self._looked_at(listed, [row["_score"] for row in listed], allowed)

        return rank_candidates(ask, wanted, self._rows, self._first(wanted, allowed))

    def _looked_at(self, rows: Sequence[dict[str, Any]], scores: Sequence[float], allowed: Allowed | None) -> Answered:
        """Return the rows that are of documents of now, and of those that pass."""
        candidates = [
            Candidate(score, from_plain(row["chunk_id"]), from_plain(row["source"]), row)
            for row, score in zip(rows, scores, strict=True)
            if (head := self.heads.of_now.get(row["key"])) is not None
            and head.ref == row["ref"]
            and (allowed is None or row["key"] in allowed.keys)
        ]
        return Answered(candidates, len(rows), min(scores, default=0.0))

    def _first(self, wanted: int, allowed: Allowed | None) -> int:
        """Return how many rows are asked for at first: where LanceDB is not told of a filter, half as many more as should be enough."""
        if allowed is None or allowed.condition is not None:
            return wanted + 1
        return int((wanted + 1) * 1.5 * len(self.heads.of_now) / max(1, len(allowed.keys))) + 1

    def _passing(self, text: str | None, filters: Mapping[str, Filter]) -> Allowed | None:
        """Return the documents that pass a filter, None for no filter."""
        if text is None:
            return None
        if text not in self._allowed:
            keys = frozenset(key for key, metadata in self.metadata().items() if matches(filters[text], metadata))
            self._allowed[text] = Allowed(keys, self._condition(keys))
        return self._allowed[text]

    def metadata(self) -> dict[str, dict[str, Any]]:
        """Return the metadata of all documents, by their keys."""
        rows = read_rows(self.table, f"ordinal = {DOCUMENT:d}", ["key", "ref", "metadata"])
        return {row["key"]: json.loads(row["metadata"]) for row in rows if self.heads.of_now[row["key"]].ref == row["ref"]}

    def _condition(self, keys: frozenset[str]) -> str | None:
        refs = (str(self.heads.of_now[key].ref) for key in keys)
        return f"ref IN ({', '.join(refs)})" if 0 < len(keys) <= FEW else None


def _restricted(query: Any, allowed: Allowed | None) -> Any:
    return query if allowed is None or allowed.condition is None else query.where(allowed.condition, prefilter=True)


def _fused(by_vector: Sequence[Candidate], by_words: Sequence[Candidate]) -> list[Candidate]:
    known = {(each.row["key"], each.row["ordinal"]): each for each in (*by_words, *by_vector)}
    rankings = [[(each.row["key"], each.row["ordinal"]) for each in ranking] for ranking in (by_vector, by_words)]
    return [Candidate(score, known[name].chunk_id, known[name].source, known[name].row) for name, score in fuse(rankings)]


def _depth(request: SearchRequest) -> int:
    return fusion_depth(request.top_k) if request.mode == "hybrid" else request.top_k
