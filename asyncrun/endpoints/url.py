"""Addresses of servers, as texts: what is one, its host, its path, and no key in it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from urllib.parse import quote, unquote, urlencode, urlsplit

from asyncrun.errors import UsageError

_SECRET = frozenset({"key", "api-key", "apikey", "token", "access-token", "subscription-key", "sig", "signature"})


def keys_in_headers(url: str, headers: Mapping[str, str]) -> tuple[str, Mapping[str, str]]:
    """Return an address without a name and a password, and the headers with them, unless a key is sent there already."""
    parts = urlsplit(url)
    if parts.username is None:
        return url, headers
    given = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    basic = {"authorization": f"Basic {base64.b64encode(given.encode()).decode()}"}
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    return bare, headers if any(name.lower() == "authorization" for name in headers) else {**basic, **headers}


def is_address(url: str) -> bool:
    """Tell whether it is the address of a server.

    >>> is_address("http://localhost:8080/v1"), is_address("localhost:8080")
    (True, False)
    """
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def check_address(url: str) -> None:
    """Raise UsageError for what is no address of a server."""
    if not is_address(url):
        raise UsageError("base_url is not an address", hint="Write it as https://HOST/v1.")


def host_of(url: str) -> str:
    """Return host and port of an address, without a name or a password.

    >>> host_of("https://user:secret@example.com:8443/v1")
    'example.com:8443'
    """
    return urlsplit(url).netloc.rpartition("@")[2].lower()


def join(base_url: str, path: str) -> str:
    """Return the address with the path behind it; what the address already ends with is not repeated.

    >>> join("https://host/v2", "/v2/embed"), join("https://host/v1/embeddings", "/embeddings")
    ('https://host/v2/embed', 'https://host/v1/embeddings')
    """
    steps = path.split("/")[1:]
    for count in range(len(steps), 0, -1):
        begun = "/" + "/".join(steps[:count])
        if base_url.endswith(begun):
            return base_url.removesuffix(begun) + path
    return base_url + path


def fill(path: str, model: str) -> str:
    """Return a path with the model's name in its place.

    >>> fill("/models/{model}:embed", "owner/na me")
    '/models/owner/na%20me:embed'
    """
    return path.replace("{model}", quote(model, safe="/-._~"))


def with_query(url: str, params: Mapping[str, object]) -> str:
    """Return the address with a query string. Raises UsageError for a parameter that looks like a key: addresses end up in logs.

    >>> with_query("https://host/v1", {"api-version": "2024-10-21"})
    'https://host/v1?api-version=2024-10-21'
    """
    for name in params:
        if name.lower().replace("_", "-") in _SECRET:
            raise UsageError(f"the parameter {name} would put a key into the address", hint="Use api_key or headers.")
    return f"{url}{'&' if '?' in url else '?'}{urlencode(params)}" if params else url
