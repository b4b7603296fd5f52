"""A Qdrant server: asked through its own client, tried again for some seconds, and what is wrong with it said in one sentence."""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

from asyncrun.errors import ArgumentError, AuthError, StorageError, TryLaterError
from asyncrun.escape import printable

T = TypeVar("T")
_PAUSES = (0.2, 0.5, 1.0, None)
"""Seconds before an exchange is tried again; every one of ours has the same effect twice as once."""
_TIMEOUT = 60
_AWAY = frozenset({408, 429, 502, 503, 504})


class MissingCollectionError(StorageError):
    """The server has no such collection (any more)."""


class QdrantServer:
    """The server at `url`; nothing is sent before the first call.

    Args:
        url: Its address, such as `http://localhost:6333`; the port is 6333 where none is said.
        api_key: Its key, None for none.
        sleep: Waits so many seconds.

    Raises ArgumentError for what is no address.
    """

    def __init__(self, url: str, api_key: str | None, sleep: Callable[[float], None] = time.sleep) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ArgumentError("the url of the qdrant store is no address", hint="Write it as http://HOST:6333.")
        self.shown = printable(parts.hostname if parts.port is None else f"{parts.hostname}:{parts.port}")
        self._url, self._api_key, self._sleep = url, api_key, sleep
        self._client: Any = None

    def ask(self, work: Callable[[Any], T]) -> T:
        """Return what `work` returns, which is given the client, and is called again where the server is away for a moment.

        Raises TryLaterError where it stays away, AuthError for a key that it refuses, MissingCollectionError for a collection that it has
        not, StorageError for all else.
        """
        from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
        from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

        away = ""
        for pause in _PAUSES:
            try:
                return work(self._opened())
            except UnexpectedResponse as error:
                if error.status_code not in _AWAY:
                    raise self._refusal(error.status_code or 0, error.content) from error
                away = f"answers {error.status_code}"
            except ResourceExhaustedResponse:
                away = "answers 429"
            except ResponseHandlingException as error:
                if isinstance(error.source, ValueError):  # A validator's: something answers, and not as Qdrant does.
                    raise StorageError(f"what answers at {self.shown} is no Qdrant server", hint="Check the store's url.") from error
                away = f"does not answer: {printable(str(error.source) or type(error.source).__name__, 200)}"
            if pause is not None:
                self._sleep(pause)
        raise TryLaterError(
            f"the Qdrant server {self.shown} {away}",
            hint="Check the store's url and the server, then run the same command again: finished items are not sent again.",
        )

    def close(self) -> None:
        """Close its connections; the next call opens them again."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _opened(self) -> Any:
        if self._client is None:
            from qdrant_client import QdrantClient

            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # That a key goes over plain HTTP, as to a server on this machine.
                self._client = QdrantClient(url=self._url, api_key=self._api_key, timeout=_TIMEOUT, check_compatibility=False)
        return self._client

    def _refusal(self, status: int, content: bytes) -> StorageError | AuthError:
        if status in (401, 403):
            return AuthError(f"the Qdrant server {self.shown} refused the key", hint="Check the store's api_key.")
        words = printable(_words(content), 300)
        if status == 404 and "doesn't exist" in words:
            return MissingCollectionError(f"the Qdrant server {self.shown}: {words}")
        if "No space left" in words or status == 507:
            return StorageError(f"the disk of the Qdrant server {self.shown} is full", hint="Make room on its disk.")
        return StorageError(f"the Qdrant server {self.shown} answers {status}: {words}", hint="Check the store's url and the server's log.")


def _words(content: bytes) -> str:
    """Return what an answer says of an error: Qdrant's own words where they are some."""
    text = content.decode("utf-8", "replace")
    try:
        return str(json.loads(text)["status"]["error"])
    except (ValueError, KeyError, TypeError):
        return text or "nothing"
