"""Tokens of events counted: a handler that adds up what prompts, answers and embedded texts hold, and stops the work at a budget."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence, Sized
from dataclasses import dataclass, field
from typing import Any

from asyncrun.callbacks.pythonically_printing_base_handler import PythonicallyPrintingBaseHandler
from asyncrun.callbacks.schema import CBEventType, EventPayload
from asyncrun.errors import TokenBudgetError
from asyncrun.ports import Tokenizer
from asyncrun.registry import load

_PROMPT_TOKENS = ("prompt_tokens", "input_tokens", "prompt_token_count")
_COMPLETION_TOKENS = ("completion_tokens", "output_tokens", "candidates_token_count")
_PER_MESSAGE = 4
"""Tokens around the role and the content of a chat message (OpenAI's cookbook, "How to count tokens with tiktoken")."""


@dataclass
class TokenCountingEvent:
    """What one event has used: one of a chat model, or one embedded text.

    >>> TokenCountingEvent("Why?", "Because.", completion_token_count=2, prompt_token_count=3).total_token_count
    5
    """

    prompt: str
    completion: str
    completion_token_count: int
    prompt_token_count: int
    total_token_count: int = field(init=False, default=0)
    event_id: str = ""

    def __post_init__(self) -> None:
        """Add up the total."""
        self.total_token_count = self.prompt_token_count + self.completion_token_count


class TokenCountingHandler(PythonicallyPrintingBaseHandler):
    """Counts the tokens of EMBEDDING and LLM events, and stops the work when answers have used more than a budget.

    Args:
        tokenizer: text in, its tokens out, such as `tiktoken.get_encoding("cl100k_base").encode`; None takes that of the local model, which
            needs no network and whose counts are of the same order.
        event_starts_to_ignore: types whose starts the manager does not report.
        event_ends_to_ignore: types whose ends the manager does not report, so that their tokens are not counted.
        verbose: prints the tokens of every event.
        logger: is told at debug level instead of standard output.
        token_budget: how many tokens chat models may use; None: any number.

    What the server says that an answer has used is believed; else the tokenizer counts. More than `token_budget` tokens raise
    `TokenBudgetError`, a ValueError, which stops `run_jobs` and a run: at the end of the event that goes past it, and at every start after.

    >>> from asyncrun.callbacks import CallbackManager, CBEventType, EventPayload
    >>> counter = TokenCountingHandler(tokenizer=str.split)
    >>> with CallbackManager([counter]).event(CBEventType.EMBEDDING) as event:
    ...     event.on_end({EventPayload.CHUNKS: ["three small words", "one"]})
    >>> counter.total_embedding_token_count
    4
    """

    uses_trace_map = False
    _pickled = (
        *PythonicallyPrintingBaseHandler._pickled,
        "tokenizer",
        "token_budget",
        "llm_token_counts",
        "embedding_token_counts",
        "_verbose",
    )

    def __init__(  # noqa: PLR0917 - LlamaIndex's users may pass them by position
        self,
        tokenizer: Callable[[str], Sized] | None = None,
        event_starts_to_ignore: Sequence[CBEventType] | None = None,
        event_ends_to_ignore: Sequence[CBEventType] | None = None,
        verbose: bool = False,
        logger: logging.Logger | None = None,
        token_budget: int | None = None,
    ) -> None:
        super().__init__(event_starts_to_ignore, event_ends_to_ignore, logger)
        self.tokenizer = tokenizer or _default_tokenizer()
        self.token_budget = token_budget
        self.llm_token_counts: list[TokenCountingEvent] = []
        self.embedding_token_counts: list[TokenCountingEvent] = []
        self._verbose = verbose

    def on_event_start(
        self, event_type: CBEventType, payload: dict[str, Any] | None = None, event_id: str = "", parent_id: str = "", **kwargs: Any
    ) -> str:
        """Return the id. Raises TokenBudgetError when the budget is used up."""
        self._check_budget()
        return event_id

    def on_event_end(self, event_type: CBEventType, payload: dict[str, Any] | None = None, event_id: str = "", **kwargs: Any) -> None:
        """Count the tokens of the event. Raises TokenBudgetError when they are more than the budget allows."""
        # LlamaIndex's manager tells a handler of ends that it ignores, too.
        if payload is None or event_type in self.event_ends_to_ignore:
            return
        if event_type == CBEventType.LLM:
            counted = self._count_answer(payload, event_id)
            self.llm_token_counts.append(counted)
            if self._verbose:
                self._print(
                    f"LLM Prompt Token Usage: {counted.prompt_token_count}\nLLM Completion Token Usage: {counted.completion_token_count}"
                )
            self._check_budget()
        elif event_type == CBEventType.EMBEDDING:
            chunks = payload.get(EventPayload.CHUNKS, ())
            counts = [TokenCountingEvent(text, "", 0, self._count(text), event_id) for text in chunks]
            self.embedding_token_counts += counts
            if self._verbose:
                self._print(f"Embedding Token Usage: {sum(count.total_token_count for count in counts)}")

    @property
    def total_llm_token_count(self) -> int:
        """Return how many tokens prompts and answers have used."""
        return sum(count.total_token_count for count in self.llm_token_counts)

    @property
    def prompt_llm_token_count(self) -> int:
        """Return how many tokens prompts have used."""
        return sum(count.prompt_token_count for count in self.llm_token_counts)

    @property
    def completion_llm_token_count(self) -> int:
        """Return how many tokens answers have used."""
        return sum(count.completion_token_count for count in self.llm_token_counts)

    @property
    def total_embedding_token_count(self) -> int:
        """Return how many tokens were embedded."""
        return sum(count.total_token_count for count in self.embedding_token_counts)

    def reset_counts(self) -> None:
        """Begin anew; the budget is whole again."""
        self.llm_token_counts = []
        self.embedding_token_counts = []

    def _check_budget(self) -> None:
        if self.token_budget is not None and self.total_llm_token_count > self.token_budget:
            raise TokenBudgetError(
                f"the chat models have used {self.total_llm_token_count} tokens, of {self.token_budget} that they may use"
            )

    def _count(self, text: str) -> int:
        return len(self.tokenizer(text))

    def _count_answer(self, payload: Mapping[str, Any], event_id: str) -> TokenCountingEvent:
        """Return the tokens of an answer: those that the server tells, else those that are counted."""
        if EventPayload.PROMPT in payload:
            texts, around = [str(payload[EventPayload.PROMPT])], 0
        elif EventPayload.MESSAGES in payload:
            texts, around = [_words(message) for message in payload[EventPayload.MESSAGES] or ()], _PER_MESSAGE
        else:
            return TokenCountingEvent("", "", 0, 0, event_id)
        answer = payload.get(EventPayload.COMPLETION, payload.get(EventPayload.RESPONSE))
        completion = "" if answer is None else str(answer)
        asked, answered = _told(answer)
        asked = asked or sum(self._count(text) + around for text in texts)
        return TokenCountingEvent("\n".join(texts), completion, answered or self._count(completion), asked, event_id)


def _words(message: object) -> str:
    """Return a message of a chat as a text: a mapping with role and content, or whatever prints as one."""
    return f"{message['role']}: {message['content']}" if isinstance(message, Mapping) else str(message)


def _told(answer: Any) -> tuple[int, int]:
    """Return the tokens of prompt and completion that an answer says it has used, 0 where it says nothing."""
    raw = getattr(answer, "raw", None)
    found = raw if isinstance(raw, Mapping) else vars(raw) if hasattr(raw, "__dict__") else {}
    usage = found.get("usage") or found.get("usage_metadata") or getattr(answer, "additional_kwargs", None) or {}
    if not isinstance(usage, Mapping):
        usage = vars(usage)
    return _first(usage, _PROMPT_TOKENS), _first(usage, _COMPLETION_TOKENS)


def _first(usage: Mapping[str, Any], names: Sequence[str]) -> int:
    return next((int(usage[name]) for name in names if usage.get(name)), 0)


def _default_tokenizer() -> Callable[[str], Sized]:
    tokenizer: Tokenizer = load("tokenizers", "local")()
    return tokenizer.offsets
