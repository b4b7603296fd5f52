"""OpenAI's chat completions by their own name."""

from __future__ import annotations

from asyncrun.llms.http_chat import HttpChat


class OpenAIChat(HttpChat):
    """Answers with OpenAI, or with any server that has its `/chat/completions`; see `HttpChat` for the arguments.

    >>> OpenAIChat(model="m", base_url="http://localhost:8080/v1").space.host
    'localhost:8080'
    """
