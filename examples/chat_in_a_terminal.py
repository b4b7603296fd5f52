"""A chat in the terminal, word by word: `python examples/chat_in_a_terminal.py`.

With OPENAI_API_KEY it asks OpenAI, with OPENAI_BASE_URL=http://localhost:8080/v1 any server, for the model CHAT_MODEL; without either a
fake server. Ctrl-C ends an answer, an empty line the chat.
"""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack

from asyncrun.errors import AsyncrunError
from asyncrun.llms import Message, OpenAI
from asyncrun.testing.named import fault
from asyncrun.testing.server import FakeServer


def answer(llm: OpenAI, messages: list[Message]) -> str:
    """Print an answer as it is written, and return what has come of it."""
    text, responses = "", llm.stream_chat(messages)
    try:
        for response in responses:
            text = response.message.content
            print(response.delta, end="", flush=True)
        print(f"  [{response.finish_reason}, {response.additional_kwargs['total_tokens']} tokens]")
    except KeyboardInterrupt:
        print("  [stopped]")
    except AsyncrunError as error:
        print(f"\n{error}\n{error.hint}", file=sys.stderr)
    finally:
        responses.close()
    return text


def main() -> None:
    """Ask for questions, one a line, and keep what was said."""
    with ExitStack() as stack:
        base_url = os.environ.get("OPENAI_BASE_URL")
        if base_url is None and "OPENAI_API_KEY" not in os.environ:
            slow = fault("stream_slow", pause=0.05, times=None)
            base_url = stack.enter_context(FakeServer(faults=[slow]).in_thread()).base_url
        llm = OpenAI(os.environ.get("CHAT_MODEL", "gpt-4o-mini"), api_base=base_url, timeout=600, max_silence=60)
        messages: list[Message] = []
        while question := next(iter(sys.stdin.readline().splitlines()), ""):
            messages.append(Message("user", question))
            messages.append(Message("assistant", answer(llm, messages)))


if __name__ == "__main__":
    main()
