"""Parsers that do what a file says: the best and the worst that one can do."""

import os
import signal
import sys
import time

from asyncrun.errors import ItemError


def words(data):
    """Does what the file says."""
    word, _, rest = data.decode().partition(" ")
    if word == "sleep":
        time.sleep(float(rest))
    elif word == "hang":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while True:
            pass
    elif word == "eat":
        held = []
        while True:
            held.append(bytes(64 << 20))
    elif word == "abort":
        os.abort()
    elif word == "abort-full":
        held = b"x" * int(rest)
        os.abort()
    elif word == "exit":
        os._exit(3)
    elif word == "refuse":
        raise ItemError("no text: a scan?", reason="no_text")
    elif word == "raise":
        raise ValueError("bad xref \udce9")
    elif word == "deep":
        return words(data)
    elif word == "print":
        os.write(1, b"noise" * 1000)
        print("more noise", file=sys.stderr)
    elif word == "halved":
        return {"text": "a\ud800"}
    elif word == "secret":
        return {"text": os.environ.get("OPENAI_API_KEY", "none")}
    elif word == "big":
        return {"text": "x" * int(rest)}
    return {"text": rest, "pid": os.getpid()}
