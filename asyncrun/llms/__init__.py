"""Chat models: messages in, a completion out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncrun.lazy import load_on_use

if TYPE_CHECKING:
    from asyncrun.llms.chat_model import ChatModel, OpenAI
    from asyncrun.llms.interface import Completion, Declined, Llm, Message, Price, Role, StreamingLlm
    from asyncrun.llms.openai import OpenAIChat
    from asyncrun.llms.responses import ChatResponse, CompletionResponse
    from asyncrun.records import Answer

__all__ = [
    "Answer",
    "ChatModel",
    "ChatResponse",
    "Completion",
    "CompletionResponse",
    "Declined",
    "Llm",
    "Message",
    "OpenAI",
    "OpenAIChat",
    "Price",
    "Role",
    "StreamingLlm",
]

__getattr__, __dir__ = load_on_use(
    __name__,
    {
        "chat_model": ["ChatModel", "OpenAI"],
        "interface": ["Answer", "Completion", "Declined", "Llm", "Message", "Price", "Role", "StreamingLlm"],
        "openai": ["OpenAIChat"],
        "responses": ["ChatResponse", "CompletionResponse"],
    },
)
