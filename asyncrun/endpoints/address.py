"""Addresses of servers: what is one, its host and path; and where a vendor is asked, with which key."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urlencode, urlsplit

from asyncrun.endpoints.vendors import Vendor
from asyncrun.errors import ArgumentError, MissingKeyError

_SECRET = frozenset({"key", "api-key", "apikey", "token", "access-token", "subscription-key", "sig", "signature"})
PUBLIC_HEADERS = frozenset({"anthropic-version"})
"""Headers that every request has and that are no secret."""


class Key(str):
    """A key, or an empty text; what shows values to people (a traceback, a debugger, a log of arguments) does not show it.

    >>> Key("no-secret"), Key("no-secret") == "no-secret"
    (Key('***'), True)
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "Key('***')" if self else "Key('')"


@dataclass(frozen=True, slots=True)
class Address:
    """`base_url` is where the vendor is asked; `own` says that this is the vendor's own address, whose key is in the environment."""

    base_url: str
    own: bool
    key: str = field(repr=False)


def find_address(vendor: Vendor, base_url: str | None, api_key: str | None, environ: Mapping[str, str]) -> Address:
    """Return address and key. A key of the environment goes to the vendor's own address only.

    >>> from asyncrun.endpoints.vendors import OPENAI
    >>> find_address(OPENAI, "http://localhost:1/v1", None, {"OPENAI_API_KEY": "k"}).key
    ''

    Raises ArgumentError when there is no address, or it is not one.
    """
    given = (api_key or "").strip()
    key = given or _first(vendor.keys, environ)
    told = _first(vendor.addresses, environ)
    usual = with_scheme(told, vendor.base_url) if told else _by_key(vendor, key)
    base = (base_url or usual or "").rstrip("/")
    if not base:
        hint = f"Set base_url{''.join(f', or the variable {name}' for name in vendor.addresses)}."
        raise ArgumentError(f"{vendor.name} has no address of its own", hint=hint)
    check_address(base)
    host = host_of(base)
    known = [usual, vendor.base_url, *(address for _, address in vendor.key_addresses)]
    own = host in {host_of(address) for address in known if address} or f".{host}".endswith(vendor.own_hosts)
    return Address(base, own, key if given or own else "")


def auth_header(vendor: Vendor, key: str) -> dict[str, str]:
    """Return the header that carries a key, none without a key."""
    if not key:
        return {}
    return {vendor.auth: f"Bearer {key}" if vendor.auth == "authorization" else key}


def check_key(vendor: Vendor, address: Address, headers: Iterable[str]) -> None:
    """Raise MissingKeyError when a key is needed and neither there nor in one of the headers (their names) that are given."""
    given = {name.lower() for name in headers} & {vendor.auth, "authorization"}
    if vendor.needs_key and address.own and not address.key and not given:
        hint = f"Set the variable {' or '.join(vendor.keys)}, or api_key in the job file."
        raise MissingKeyError(f"no key for {host_of(address.base_url)}", hint=hint)


def with_scheme(address: str, usual: str | None) -> str:
    """Return the address of an environment variable, which may be a host alone, or the host that a server listens on.

    >>> with_scheme("0.0.0.0", "http://localhost:11434"), with_scheme("box:80", "http://localhost:11434")
    ('http://127.0.0.1:11434', 'http://box:80')
    """
    address = address.rstrip("/")
    if "://" in address:
        return address
    parts = urlsplit(f"//{address}")
    wanted = urlsplit(usual or "https://")
    host = "127.0.0.1" if parts.hostname in ("0.0.0.0", "::", None) else parts.hostname  # noqa: S104 (what a server listens on)
    port = _port_of(address) or wanted.port
    return f"{wanted.scheme}://{host}{f':{port}' if port else ''}{parts.path}"


def _port_of(address: str) -> int | None:
    try:
        return urlsplit(f"//{address}").port
    except ValueError as error:
        raise ArgumentError("the address in the environment is not one", hint="Write it as http://HOST:PORT.") from error


def _by_key(vendor: Vendor, key: str) -> str | None:
    return next((address for start, address in vendor.key_addresses if key.startswith(start)), vendor.base_url)


def _first(names: Iterable[str], environ: Mapping[str, str]) -> str:
    return next((value for name in names if (value := environ.get(name, "").strip())), "")


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
    """Raise ArgumentError for what is no address of a server."""
    if not is_address(url):
        raise ArgumentError("base_url is not an address", hint="Write it as https://HOST/v1.")


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


def with_model(path: str, model: str) -> str:
    """Return a path with the model's name in its place.

    >>> with_model("/models/{model}:embed", "owner/na me")
    '/models/owner/na%20me:embed'
    """
    return path.replace("{model}", quote(model, safe="/-._~"))


def with_query(url: str, params: Mapping[str, object]) -> str:
    """Return the address with a query string. Raises ArgumentError for a parameter that looks like a key: addresses end up in logs.

    >>> with_query("https://host/v1", {"api-version": "2024-10-21"})
    'https://host/v1?api-version=2024-10-21'
    """
    for name in params:
        if name.lower().replace("_", "-") in _SECRET:
            raise ArgumentError(f"the parameter {name} would put a key into the address", hint="Use api_key or headers.")
    return f"{url}{'&' if '?' in url else '?'}{urlencode(params)}" if params else url
