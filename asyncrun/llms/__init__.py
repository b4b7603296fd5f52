"""Chat models: messages in, a completion out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncrun.lazy import load_on_use

if TYPE_CHECKING:
    from asyncrun.llms.anthropic import Anthropic
    from asyncrun.llms.chat_model import ChatModel, OpenAI
    from asyncrun.llms.interface import BatchLlm, Completion, Declined, Llm, Message, Price, Role, StreamingLlm, StructuredLlm
    from asyncrun.llms.openai import OpenAIChat
    from asyncrun.llms.responses import ChatResponse, CompletionResponse
    from asyncrun.records import Answer

__all__ = [
    "Answer",
    "Anthropic",
    "BatchLlm",
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
    "StructuredLlm",
]

__getattr__, __dir__ = load_on_use(
    __name__,
    {
        "anthropic": ["Anthropic"],
        "chat_model": ["ChatModel", "OpenAI"],
        "interface": [
            "Answer",
            "BatchLlm",
            "Completion",
            "Declined",
            "Llm",
            "Message",
            "Price",
            "Role",
            "StreamingLlm",
            "StructuredLlm",
        ],
        "openai": ["OpenAIChat"],
        "responses": ["ChatResponse", "CompletionResponse"],
    },
)
