"""One request of a chat model: told as an event, paid from the budget, and over when its answer is durable."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from asyncrun.aio.worker_state import waiting
from asyncrun.callbacks.schema import CBEventType, EventPayload
from asyncrun.errors import AsyncrunError
from asyncrun.jobs.context import JobContext
from asyncrun.jobs.conversations import Asking, Conversation
from asyncrun.ledger.answers import put_answer
from asyncrun.llms.interface import Completion
from asyncrun.records import Answer
from asyncrun.usage import Waits


async def ask(conversation: Conversation, asking: Asking[Any], context: JobContext) -> Completion:
    """Ask once and return when the answer is durable; the error that ended it early is BudgetError before a call, or StorageError, too."""
    llm, completion = asking.llm, Completion()
    started = {
        EventPayload.MODEL_NAME: llm.model_name,
        EventPayload.MESSAGES: list(conversation.messages),
        "provider": llm.provider,
        "server.address": llm.space.host,
        "max_tokens": llm.max_output_tokens,
        **({} if conversation.seed is None else {"seed": conversation.seed}),
    }
    try:
        with context.manager.event(CBEventType.LLM, payload=started) as event, event.enclosing():
            if context.budget is None:
                completion = await _asked(conversation, asking, context)
            else:
                async with context.reserve(lambda: asking.expected(conversation.size)) as reservation:
                    completion = await _asked(conversation, asking, context)
                    reservation.used(completion.usage)
                    if completion.error is not None:
                        # The reservation ends as failed.
                        raise completion.error
            if completion.error is not None:
                # The event ends as failed.
                raise completion.error
            if context.manager.handlers:
                event.on_end(payload=_described(completion))
    except AsyncrunError as error:
        return replace(completion, answer=None, error=error)
    return completion


async def _asked(conversation: Conversation, asking: Asking[Any], context: JobContext) -> Completion:
    completion = await asking.complete(conversation)
    answer = completion.answer
    if completion.error is not None or not isinstance(answer, Answer):
        return completion
    before = context.clock.monotonic()
    try:
        with waiting("store", idle=False):
            await put_answer(context.ledger, asking.space, conversation.key, answer, conversation.size)
    except AsyncrunError as error:
        return replace(completion, answer=None, error=error)
    waits = completion.waits + Waits(write=context.clock.monotonic() - before)
    return Completion(answer, completion.usage, waits, model=completion.model, worker=completion.worker)


def _described(completion: Completion) -> dict[Any, object]:
    usage, answer = completion.usage, completion.answer
    payload: dict[Any, object] = {"tokens": usage.tokens, "requests": usage.requests, "retries": usage.retries}
    payload |= {"response_model": completion.model} if completion.model else {}
    payload |= {"worker": completion.worker} if completion.worker else {}
    if isinstance(answer, Answer):
        payload |= {
            EventPayload.RESPONSE: answer.text,
            "ok": 1,
            "input_tokens": answer.input_tokens,
            **{name: count for name in ("cached_tokens", "reasoning_tokens") if (count := getattr(answer, name))},
            "output_tokens": answer.output_tokens,
            "finish_reason": answer.finish_reason,
        }
    elif answer is not None:
        payload |= {"failed": 1, "reason": answer.reason}
    return payload | completion.waits.payload()
