"""A port for a server that a test starts by itself."""

from __future__ import annotations

import random
import socket


def free_port() -> int:
    """Return a port that nobody holds and that no outgoing connection is given: a server that is started again finds it free."""
    for port in random.SystemRandom().sample(range(20_000, 32_000), 100):
        with socket.socket() as held:
            try:
                held.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free port from 20,000 to 32,000")
