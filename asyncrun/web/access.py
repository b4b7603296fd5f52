"""Who may ask: the machine's own browser, or who has the token; nobody whose page only pretends to be this server."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from asyncrun.web.messages import WebRequest, WebResponse, said


@dataclass(frozen=True, slots=True)
class Access:
    """What a request must show: the name that it was sent to, and the token in its path where there is one (empty: none).

    A page of another site can have its own name lead here (DNS rebinding) and would then be let in by the browser as this server's own.
    It comes with its name in `Host`, which is none of `names`; an address in numbers cannot be made to lead elsewhere.
    """

    names: frozenset[str] = frozenset({"localhost"})
    token: str = ""

    @property
    def base(self) -> str:
        """Return the path below which everything is."""
        return f"/{self.token}/" if self.token else "/"

    def refusal(self, request: WebRequest) -> WebResponse | None:
        """Return why a request is refused, None where it is let in."""
        if request.method not in ("GET", "HEAD"):
            return said(405, "Only looking is possible here.", allow="GET, HEAD")
        if not self.knows(request.headers.get("host", "")):
            return said(403, "This server does not go by that name: open it by the address that `asyncrun trace serve` prints.")
        if not secrets.compare_digest(request.path[: len(self.base)].encode(), self.base.encode()):
            return said(404, "There is nothing here.")
        return None

    def knows(self, host: str) -> bool:
        """Tell whether a `Host` header names this server.

        >>> [Access().knows(host) for host in ("localhost:8787", "127.0.0.1", "[::1]:8787", "evil.example:8787", "")]
        [True, True, True, False, False]
        """
        name = host.removeprefix("[").partition("]")[0] if host.startswith("[") else host.partition(":")[0]
        return name.lower() in self.names or is_address(name)


def is_address(name: str) -> bool:
    """Tell whether a name is an address in numbers."""
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def choose_access(host: str, addresses: Sequence[str], token: str) -> Access:
    """Return the access of a server that listens at a host, which has these addresses: with the token unless all are the machine's own.

    >>> choose_access("localhost", ["127.0.0.1", "::1"], "s3cret").base
    '/'
    >>> choose_access("0.0.0.0", ["0.0.0.0"], "s3cret").base
    '/s3cret/'
    """
    if all(ip_address(address.partition("%")[0]).is_loopback for address in addresses):
        return Access(frozenset({"localhost", host.lower()}))
    machine = socket.gethostname().lower()
    return Access(frozenset({"localhost", host.lower(), machine, f"{machine.partition('.')[0]}.local"}), token)
