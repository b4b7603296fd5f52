"""Places that serve no more, each with its reason; and the error of a run when none is left."""

from __future__ import annotations

from collections.abc import Mapping

from asyncrun.errors import AsyncrunError, AuthError, EndpointError, OutageError, QuotaError, ThrottledError
from asyncrun.records import winning_exit_code

ABOUT_ENDPOINT = (AuthError, QuotaError, ThrottledError, OutageError, EndpointError)
"""Answers about a place, whatever was sent: another place may take the same request."""


def none_left(errors: Mapping[str, AsyncrunError]) -> AsyncrunError:
    """Return the error when every place is left out, by hosts: of its class is the one whose exit code goes before.

    >>> none_left({"a": OutageError("a is down"), "b": AuthError("b answers 401")}).exit_code
    77
    """
    code = winning_exit_code(error.exit_code for error in errors.values())
    worst = next(error for error in errors.values() if error.exit_code == code)
    if len(errors) == 1:
        return worst
    said = "; ".join(error.message if error.message.startswith(host) else f"{host}: {error.message}" for host, error in errors.items())
    return type(worst)(f"no endpoint is left: {said}", hint=worst.hint)
