"""What a reply that brings no vectors means: its body is read first, then its status."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from asyncrun.aio.retry import FailureClass
from asyncrun.errors import Reason
from asyncrun.escape import strip_markup

MOST_WORDS = 100_000
"""Characters of an explanation that are looked at: each costs about a microsecond, in which nothing else of a run goes on."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a failed request means.

    `words` are the server's own, `blamed_index` the index of the one text that it names, `cap` the number of texts that it takes at once,
    `share` the part of this request's size that it would have taken.
    """

    failure: FailureClass
    words: str
    blamed_index: int | None = None
    cap: int | None = None
    share: float | None = None

    @property
    def reason(self) -> str:
        """Return why an item has failed about which this is said for good."""
        return _REASONS.get(self.failure, Reason.REFUSED).value


_REASONS = {
    FailureClass.TOO_BIG: Reason.TOO_LONG,
    FailureClass.TOO_LONG: Reason.TOO_LONG,
    FailureClass.BAD_RESPONSE: Reason.BAD_RESPONSE,
    FailureClass.TRANSIENT: Reason.SERVER_ERROR,
    FailureClass.BROKEN_OFF: Reason.SERVER_ERROR,
}

# Seen: "maximum context length is 8192 tokens, however you requested 9001 tokens" (OpenAI), "less than 512 tokens. Given: 700" (TEI).
_TOKENS = re.compile(r"(\d[\d,]*)\s*tokens|given:?\s*(\d[\d,]*)", re.IGNORECASE)
_QUOTA = re.compile(
    r"insufficient_quota|credit_balance_exhausted|(organization|project)_(spend|usage)_limit_exceeded|billing_|per_?day"
    r"|monthly (limit|quota)|calls */ *month|per month|payment required|credit balance is too low|specified (api )?usage limits"
    r"|spend limit reached",
    re.IGNORECASE,
)
_AUTH = re.compile(
    r"API_KEY_INVALID|invalid_api_key|incorrect api key|invalid api key|authentication_error|no_db_connection", re.IGNORECASE
)
_CAP = re.compile(
    r"at most (\d+)(?!\d| ?(?:tokens|characters|chars|bytes))|maximum allowed batch size (\d+)"
    r"|largest allowed size (\d+)|batch size limit is (\d+)",
    re.IGNORECASE,
)
_TOO_BIG = re.compile(
    r"max_tokens_per_request|tokens per request|too many tokens (overall|in batch)|split into more batches|batch size \d+ > "
    r"|tokens per submitted batch|largest allowed size|payload size exceeds|array too long|request (entity|body) too large",
    re.IGNORECASE,
)
_NEVER_FITS = re.compile(r"request too large", re.IGNORECASE)
"""More tokens at once than the limit of a minute: OpenAI says 429, and no waiting helps."""
_TOO_LONG = re.compile(
    r"maximum input length|maximum context length|context_length_exceeded|must have less than \d+ tokens|too large to process"
    r"|exceed_context_size|exceeds the (available )?context|exceeds the maximum number of tokens"
    r"|exceeds? (the )?max(imum)? (input|sequence|length)|longer than the model's context|input tokens exceed|string too long"
    r"|too many tokens|(input|text|prompt|sequence) is too (long|large)|string_too_long|exceed context limit",
    re.IGNORECASE,
)
_ITEM = re.compile(r"unsupported value: NaN|cannot be an empty string|cannot be empty|must not be empty", re.IGNORECASE)
_NO_MODEL = re.compile(
    r"model_not_found|(invalid|unknown) model|model\b.{0,120}(not found|not exist|not supported|not available)", re.IGNORECASE
)
_FILTERED = re.compile(r"content.?filter|content management policy|ResponsibleAIPolicy", re.IGNORECASE)
_BUSY = re.compile(r"server busy|overloaded|slow_down|rate.?limit|too many requests|RESOURCE_EXHAUSTED", re.IGNORECASE)
_GUILTY = re.compile(r"\b(?:inputs?|texts?|requests?|example)(?:\[(\d+)\]|\.(\d+)\b| at index (\d+))")
_TRANSIENT = frozenset({408, 409, 424, 425, 500, 502, 503, 504, 529, *range(520, 528)})
_ABOUT_TEXT = frozenset({200, 400, 413, 422, 500})
"""Statuses that servers give for what is wrong with the texts."""


def classify(status: int, headers: dict[str, str], document: Any, text: str) -> Verdict:
    """Return what a reply means that is no answer; `document` is its body decoded, None when it is no JSON, `text` the body as it is.

    >>> classify(400, {}, None, "Invalid 'input[22]': maximum input length is 8192 tokens").blamed_index
    22
    """
    words = (" ".join(_words(document)) or strip_markup(text) or "no explanation")[:MOST_WORDS]
    codes = " ".join(_codes(document))[:MOST_WORDS]
    verdict = _by_body(status, words, f"{codes} {words}") or Verdict(_by_status(status, headers, codes, words), words)
    if status == 429 and "retry-after" not in headers and _is_anthropics(document):
        # Of a rate it always says when it is over; without that it is the month's spending.
        verdict = Verdict(FailureClass.QUOTA, words)
    return _overridden(verdict, headers.get("x-should-retry", "").lower())


def _by_body(status: int, words: str, everything: str) -> Verdict | None:
    if status == 402 or (status != 200 and _QUOTA.search(everything) and status in (400, 403, 429)):
        return Verdict(FailureClass.QUOTA, words)
    if status in (400, 401, 403, 498) and (_AUTH.search(everything) or status != 400):
        return Verdict(FailureClass.AUTH, words)
    if status == 429 and _NEVER_FITS.search(words):
        return Verdict(FailureClass.TOO_BIG, words)
    if status not in _ABOUT_TEXT:
        return None
    blamed_index = next((int(index) for match in _GUILTY.finditer(words) for index in match.groups() if index), None)
    cap = next((int(number) for match in _CAP.finditer(words) for number in match.groups() if number), None)
    # Text Embeddings Inference is said to refuse one text that is too long with 413, too.
    if cap is not None or _TOO_BIG.search(everything) or (status == 413 and not _TOO_LONG.search(everything)):
        sizes = stated_sizes(words)
        return Verdict(FailureClass.TOO_BIG, words, cap=cap, share=sizes[1] / sizes[0] if sizes else None)
    if _TOO_LONG.search(everything):
        return Verdict(FailureClass.TOO_LONG, words, blamed_index)
    if _ITEM.search(everything) or (blamed_index is not None and status in (400, 422)):
        return Verdict(FailureClass.ITEM, words, blamed_index)
    if status != 500 and _NO_MODEL.search(everything):
        return Verdict(FailureClass.CONFIG, words)
    return None


def _is_anthropics(document: Any) -> bool:
    return isinstance(document, dict) and document.get("type") == "error" and isinstance(document.get("error"), dict)


def _by_status(status: int, headers: dict[str, str], codes: str, words: str) -> FailureClass:
    if status == 200:
        return FailureClass.BAD_RESPONSE
    if status < 400 or status in (404, 405, 407, 410):
        return FailureClass.CONFIG
    if status == 429 or (status in (503, 529) and ("retry-after" in headers or _BUSY.search(f"{codes} {words}"))):
        return FailureClass.THROTTLE
    return FailureClass.TRANSIENT if status in _TRANSIENT else FailureClass.UNKNOWN


def _overridden(verdict: Verdict, should_retry: str) -> Verdict:
    """Let a server's `x-should-retry` decide where the status alone has decided before."""
    if should_retry == "true" and verdict.failure is FailureClass.UNKNOWN:
        return Verdict(FailureClass.TRANSIENT, verdict.words)
    if should_retry == "false" and verdict.failure is FailureClass.TRANSIENT:
        return Verdict(FailureClass.UNKNOWN, verdict.words)
    return verdict


def _words(document: Any) -> Iterator[str]:
    """Yield the sentences of an error document, whatever its shape; the shapes are those of the vendors' own clients."""
    if isinstance(document, str):
        yield document
    elif isinstance(document, list):
        for entry in document[:3]:
            yield from _words(entry)
    elif isinstance(document, dict):
        where = document.get("loc")
        if isinstance(where, list):
            yield ".".join(map(str, where[1:] if where[:1] == ["body"] else where)) + ":"
        for name in ("error", "message", "detail", "msg", "title"):
            yield from _words(document.get(name))


def _codes(document: Any) -> Iterator[str]:
    """Yield the words of an error document that are meant for programs."""
    if isinstance(document, list):
        for entry in document[:3]:
            yield from _codes(entry)
    elif isinstance(document, dict):
        for name in ("type", "code", "status", "reason", "error_type", "quotaId", "@type"):
            if isinstance(document.get(name), str):
                yield document[name]
        for name in ("error", "details", "violations"):
            yield from _codes(document.get(name))


def stated_sizes(message: str) -> tuple[int, int] | None:
    """Return (tokens of the text, tokens allowed) where a server's message tells both.

    >>> stated_sizes("`inputs` must have less than 512 tokens. Given: 700")
    (700, 512)
    """
    numbers = {int("".join(found).replace(",", "")) for found in _TOKENS.findall(message)} - {0}
    return (max(numbers), min(numbers)) if len(numbers) > 1 else None


def is_filtered(words: str) -> bool:
    """Tell whether the words of a refused request say that a content filter has stopped it (Azure: 400 with the code content_filter).

    >>> is_filtered("The response was filtered due to the prompt triggering Azure OpenAI's content management policy.")
    True
    """
    return _FILTERED.search(words) is not None
