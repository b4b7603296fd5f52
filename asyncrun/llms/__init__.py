"""Chat models: messages in, a completion out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncrun.lazy import load_on_use

if TYPE_CHECKING:
    from asyncrun.llms.interface import Completion, Declined, Llm, Message, Price, Role
    from asyncrun.llms.openai import OpenAIChat
    from asyncrun.records import Answer

_HOMES = {
    "Answer": "interface",
    "Completion": "interface",
    "Declined": "interface",
    "Llm": "interface",
    "Message": "interface",
    "OpenAIChat": "openai",
    "Price": "interface",
    "Role": "interface",
}

__all__ = [
    "Answer",
    "Completion",
    "Declined",
    "Llm",
    "Message",
    "OpenAIChat",
    "Price",
    "Role",
]

__getattr__ = load_on_use(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted(__all__)
