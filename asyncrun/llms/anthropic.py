"""Anthropic's messages, by the names that LlamaIndex has for the arguments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack

from asyncrun.callbacks.base import CallbackManager
from asyncrun.endpoints.endpoint import EndpointOptions
from asyncrun.llms.chat_model import ChatModel, endpoint_options
from asyncrun.llms.http_chat import HttpChat
from asyncrun.llms.interface import Price


class Anthropic(ChatModel):
    """Answers with Anthropic, or with any server that has its `/v1/messages`, by the names that LlamaIndex has for the arguments.

    Args:
        model: The name of the model.
        temperature: 0 to 1; None: what the model has by default.
        max_tokens: Most tokens of an answer, which Anthropic demands; None: 4,096.
        base_url: Default: Anthropic's.
        max_retries: How often a request is sent again at most; None: five times.
        api_key: Default: ANTHROPIC_API_KEY, at Anthropic's own address only.
        system_prompt: Words that stand before every prompt of `complete`.
        additional_kwargs: Merged into the request's JSON.
        default_headers: Sent as they are.
        price: USD per million tokens.
        max_silence: Most seconds between two pieces of a streamed answer; None: `timeout` alone, which is for all of it.
        callback_manager: Whose handlers are told.
        options: `timeout`, `limits` and the others of `EndpointOptions`.

    >>> Anthropic("claude-haiku-4-5", max_tokens=50).llm.max_output_tokens
    50
    """

    def __init__(
        self,
        model: str,
        *,
        temperature: float | None = None,
        max_tokens: int | None = None,
        base_url: str | None = None,
        max_retries: int | None = None,
        api_key: str | None = None,
        system_prompt: str | None = None,
        additional_kwargs: Mapping[str, Any] | None = None,
        default_headers: Mapping[str, str] | None = None,
        price: Price | None = None,
        max_silence: float | None = None,
        callback_manager: CallbackManager | None = None,
        **options: Unpack[EndpointOptions],
    ) -> None:
        endpoint = endpoint_options("Anthropic", "base_url", options, max_retries, default_headers)
        llm = HttpChat(
            model=model,
            provider="anthropic",
            api_key=api_key,
            base_url=base_url,
            temperature=temperature,
            max_output_tokens=max_tokens,
            system=system_prompt,
            price=price,
            max_silence=max_silence,
            extra_body=additional_kwargs,
            **endpoint,
        )
        super().__init__(llm, callback_manager=callback_manager)
