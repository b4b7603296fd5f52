"""No wrong row, whatever a server sends: replies spoilt at random go the whole way from bytes to rows, in every dialect.

ASYNCRUN_FUZZED_REPLIES says how many (2,000), ASYNCRUN_FUZZ_SEED where they begin (0). Whatever is done to a reply here can be noticed by
whoever knows how many texts and dimensions there are. What nobody can notice is left out: rows that change places without indexes to tell,
and numbers that are replaced by others as good.
"""

from __future__ import annotations

import asyncio
import base64
import os
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
import pytest

from asyncrun import http
from asyncrun.aio.retry import RetryPolicy
from asyncrun.embedders import (
    BaseEmbedding,
    CohereEmbedding,
    GeminiEmbedding,
    IsaacusEmbedding,
    OllamaEmbedding,
    OpenAIEmbedding,
    TextEmbeddingsInference,
)
from asyncrun.errors import AsyncrunError
from asyncrun.http_replies import Reply
from asyncrun.testing.clock import FakeClock
from asyncrun.testing.vectors import vector_of

REPLIES = int(os.environ.get("ASYNCRUN_FUZZED_REPLIES", "2000"))
SEED = int(os.environ.get("ASYNCRUN_FUZZ_SEED", "0"))
SIZE = 8
Row = dict[str, Any]
"""`embedding` as JSON has it, and `index`, which dialects without indexes do not send."""


class Dialect:
    """How one dialect asks and answers."""

    def __init__(
        self,
        kind: type[BaseEmbedding],
        texts: Callable[[Any], list[str]],
        write: Callable[[list[Row]], Any],
        *,
        indexed: bool = False,
        **given: Any,
    ) -> None:
        self.kind, self.texts, self.write, self.indexed, self.given = kind, texts, write, indexed, given

    def embedder(self, rng: random.Random) -> Any:
        options = {"base_url": "http://127.0.0.1:9/v1", "api_key": "k" * 20, "rng": rng, "clock": FakeClock(), "warn": lambda _: None}
        # Half of them learn the dimensions from the first reply, which is then a right one.
        known = {"dimensions": SIZE} if rng.random() < 0.5 else {}
        return self.kind(model="m", retry=RetryPolicy(attempts=2, base=0.0), **options, **known, **self.given)


def vectors_alone(rows: list[Row]) -> list[Any]:
    return [row["embedding"] for row in rows]


DIALECTS = {
    "openai, base64": Dialect(OpenAIEmbedding, lambda asked: asked["input"], lambda rows: {"data": rows}, indexed=True),
    "openai, numbers": Dialect(
        OpenAIEmbedding,
        lambda asked: asked["input"],
        lambda rows: {"data": rows},
        indexed=True,
        extra_body={"encoding_format": "float"},
    ),
    "isaacus": Dialect(IsaacusEmbedding, lambda asked: asked["texts"], lambda rows: {"embeddings": rows}, indexed=True),
    "cohere": Dialect(CohereEmbedding, lambda asked: asked["texts"], lambda rows: {"embeddings": {"float": vectors_alone(rows)}}),
    "gemini": Dialect(
        GeminiEmbedding,
        lambda asked: [request["content"]["parts"][0]["text"] for request in asked["requests"]],
        lambda rows: {"embeddings": [{"values": vector} for vector in vectors_alone(rows)]},
    ),
    "tei": Dialect(TextEmbeddingsInference, lambda asked: asked["inputs"], vectors_alone),
    "ollama": Dialect(OllamaEmbedding, lambda asked: asked["input"], lambda rows: {"embeddings": vectors_alone(rows)}),
}

# What is done to one vector ------------------------------------------------------------------------------------------------------------

RAW = "*raw*"
"""Stands for something that JSON has no way to write but that is sent anyhow."""


def spoilt_vector(vector: Any, rng: random.Random) -> Any:
    if isinstance(vector, str) and rng.random() < 0.7:
        return spoilt_base64(vector, rng)
    numbers = vector_numbers(vector)
    place = rng.randrange(len(numbers))
    others: list[Any] = [None, True, False, "1.0", "", RAW, [], {}, 10**400, 1e39, -1e308]
    return rng.choice(
        [
            None, [], {}, "", 0, 1.5, True, "vector", RAW, numbers[:-1], [*numbers, 0.5], numbers[: SIZE // 2],
            numbers * 2, [numbers], [None] * SIZE,
            [str(number) for number in numbers], {str(at): number for at, number in enumerate(numbers)}, {"values": numbers},
            [*numbers[:place], rng.choice(others), *numbers[place + 1 :]],
        ]
    )  # fmt: skip


def spoilt_base64(text: str, rng: random.Random) -> Any:
    raw = base64.b64decode(text)
    nan = np.array([np.nan, np.inf, -np.inf], "<f4")
    broken = bytearray(raw)
    at = 4 * rng.randrange(SIZE)
    broken[at : at + 4] = nan[rng.randrange(3)].tobytes()
    return rng.choice(
        [
            text[: rng.randrange(len(text))], text[:-1], text[1:], text + "====", text + text, text[:8] + "\n" + text[8:],
            text.replace("=", ""),
            base64.b64encode(text.encode()).decode(), base64.b64encode(raw[: rng.randrange(len(raw))]).decode(),
            base64.b64encode(np.frombuffer(raw, "<f4").astype("<f8").tobytes()).decode(), base64.b64encode(bytes(broken)).decode(),
            "%%", "é" * 8,
        ]
    )  # fmt: skip


def vector_numbers(vector: Any) -> list[float]:
    if isinstance(vector, str):
        return list(np.frombuffer(base64.b64decode(vector), "<f4").tolist())
    return list(vector)


# What is done to the rows and to the whole ---------------------------------------------------------------------------------------------


def spoil_vectors(rows: list[Row], rng: random.Random, indexed: bool) -> list[Row]:
    for row in rng.sample(rows, rng.randint(1, len(rows))):
        row["embedding"] = spoilt_vector(row["embedding"], rng)
    return rows


def drop(rows: list[Row], rng: random.Random, indexed: bool) -> list[Row]:
    kept = rng.randrange(len(rows))
    return rng.sample(rows, kept) if indexed else rows[:kept]


def double(rows: list[Row], rng: random.Random, indexed: bool) -> list[Row]:
    rows.insert(rng.randrange(len(rows) + 1), dict(rng.choice(rows)))
    return rows


def instead(rows: list[Row], rng: random.Random, indexed: bool) -> list[Row]:
    """One row in the place of another: the indexes tell, and nothing else."""
    if indexed and len(rows) > 1:
        first, second = rng.sample(range(len(rows)), 2)
        rows[first] = dict(rows[second])
    return rows


def fuse(rows: list[Row], rng: random.Random, indexed: bool) -> list[Row]:
    if len(rows) == 1:
        return []
    mean = np.mean([vector_numbers(row["embedding"]) for row in rows], axis=0).tolist()
    return [{**rows[0], "embedding": mean}]


def shuffle(rows: list[Row], rng: random.Random, indexed: bool) -> list[Row]:
    return rng.sample(rows, len(rows)) if indexed else rows


def wrong_indexes(rows: list[Row], rng: random.Random, indexed: bool) -> list[Row]:
    for row in rng.sample(rows, rng.randint(1, len(rows))):
        row["index"] = rng.choice([len(rows), -1, -len(rows), 10**30, str(row["index"]), float(row["index"]), True, False, [], {}, "", "x"])
    return rows


def no_indexes(rows: list[Row], rng: random.Random, indexed: bool) -> list[Row]:
    """All in order, or some: one that is missing may be 0, two cannot be told apart."""
    for row in rows if rng.random() < 0.3 else rng.sample(rows, rng.randint(1, len(rows))):
        row.pop("index")
    return rows


def other_dimensions(rows: list[Row], rng: random.Random, indexed: bool) -> list[Row]:
    size = rng.choice([size for size in range(1, 2 * SIZE) if size != SIZE])
    for row in rows:
        numbers = (vector_numbers(row["embedding"]) * 2)[:size]
        row["embedding"] = base64.b64encode(np.array(numbers, "<f4").tobytes()).decode() if isinstance(row["embedding"], str) else numbers
    return rows


ON_ROWS = [spoil_vectors, drop, double, instead, fuse, shuffle, wrong_indexes, no_indexes, other_dimensions]


def spoilt_document(document: Any, rng: random.Random) -> Any:
    words = {"message": "the upstream failed", "type": "upstream_error"}
    whole = document if isinstance(document, dict) else {"rows": document}
    return rng.choice(
        [
            None, [], {}, "text", 0, True, [document], {"data": document}, {"error": words}, {**whole, "error": words},
            {**whole, "error": "words"},
            {name + "s": value for name, value in whole.items()}, dict.fromkeys(whole),
            {name: {"0": value} for name, value in whole.items()},
            {name: orjson.dumps(value).decode() for name, value in whole.items()}, {"detail": "busy"}, {"message": "busy"},
        ]
    )  # fmt: skip


def spoilt_bytes(body: bytes, rng: random.Random) -> bytes:
    cut = rng.randrange(len(body))
    return rng.choice(
        [
            b"", body[:cut], body[cut:], body + b"}", body + body, b"\xef\xbb\xbf" + body, b"<html>" + body, b"data: " + body,
            body[:cut] + b"\xff\xfe" + body[cut:],
            b"<!doctype html><title>Welcome</title>", b"\x1f\x8b" + body, b"\x00" * 32, body.replace(b"[", b"(", 1), b"null", b"[" * 5000,
        ]
    )  # fmt: skip


class Server:
    """Answers in a dialect, right or spoilt, and counts what it did."""

    def __init__(self, dialect: Dialect, rng: random.Random) -> None:
        self.dialect, self.rng = dialect, rng
        self.replies = 0
        self.done: Counter[str] = Counter()
        self.honest = True

    async def send(self, client: Any, url: str, body: bytes, headers: Any, **_: Any) -> Reply:
        self.replies += 1
        asked, rng = orjson.loads(body), self.rng
        rows: list[Row] = [
            {"index": index, "embedding": self._vector(text, asked.get("encoding_format") == "base64")}
            for index, text in enumerate(self.dialect.texts(asked))
        ]
        honest, self.honest = self.honest, False
        what = "nothing" if honest else rng.choice(["nothing", "rows", "rows", "rows", "rows", "document", "bytes", "status"])
        self.done[what] += 1
        if what == "rows":
            spoil = rng.choice(ON_ROWS)
            self.done[spoil.__name__] += 1
            rows = spoil(rows, rng, self.dialect.indexed)
            if rows and rng.random() < 0.3 and spoil not in (spoil_vectors, no_indexes, other_dimensions):
                rows = spoil_vectors(rows, rng, self.dialect.indexed)
        document = self.dialect.write(rows)
        if what == "document":
            document = spoilt_document(document, rng)
        written = self._written(document)
        if what == "bytes":
            written = spoilt_bytes(written, rng)
        status = rng.choice([400, 404, 413, 422, 429, 500, 503, 201, 204, 206, 307]) if what == "status" else 200
        return Reply(status, {}, written)

    def _vector(self, text: str, as_base64: bool) -> Any:
        vector = vector_of(text, SIZE)
        return base64.b64encode(vector.astype("<f4").tobytes()).decode() if as_base64 else vector.tolist()

    def _written(self, document: Any) -> bytes:
        import json

        return (
            json.dumps(document).replace(f'"{RAW}"', self.rng.choice(["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "0x1"])).encode()
        )


class NoClient:
    """Stands for connections that nobody needs."""

    async def aclose(self) -> None:
        pass

    async def renew(self) -> None:
        pass


async def fuzz(dialect: Dialect, replies: int, rng: random.Random, monkeypatch: pytest.MonkeyPatch) -> tuple[Counter[str], list[str]]:
    """Embed until the server has sent so many replies; return what was done and met, and the wrong rows."""
    server = Server(dialect, rng)
    monkeypatch.setattr(http, "send", server.send)
    monkeypatch.setattr(http, "build_client", lambda concurrency, http2: NoClient())
    wrong: list[str] = []
    while server.replies < replies:
        server.honest = True
        async with dialect.embedder(rng) as embedder:
            for number in range(20):
                texts = [f"{number}.{place} {rng.random()}" for place in range(rng.randint(1, 6))]
                try:
                    answer = (await embedder.aembed(texts)).or_raise()
                except AsyncrunError as error:
                    server.done[type(error).__name__] += 1
                    break
                failed = [failure.position for failure in answer.failures]
                if sorted([*answer.positions, *failed]) != list(range(len(texts))):
                    wrong.append(f"{texts}: rows {answer.positions}, failures {failed}")
                for place, vector in zip(answer.positions, answer.vectors, strict=True):
                    server.done["rows taken"] += 1
                    if vector.dtype != np.float32 or not np.array_equal(vector, vector_of(texts[place], SIZE)):
                        wrong.append(f"{texts[place]}: {vector}")
    server.done["replies"] = server.replies
    return server.done, wrong


@pytest.mark.parametrize("name", DIALECTS)
def test_no_row_is_wrong_whatever_the_server_sends(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    done, wrong = asyncio.run(fuzz(DIALECTS[name], REPLIES // len(DIALECTS) + 1, random.Random(f"{SEED} {name}"), monkeypatch))
    print(name, dict(done))
    assert wrong == []
    # It would be no test if nothing was ever accepted, or if nothing was spoilt.
    assert done["rows taken"] > done["replies"] / 10
    assert all(done[spoil.__name__] for spoil in ON_ROWS)
