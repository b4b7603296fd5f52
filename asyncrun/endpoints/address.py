"""Where a provider is asked: its address and its key, from what is given and from the environment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import quote, urlencode, urlsplit

from asyncrun.endpoints.endpoint import check_address, host_of
from asyncrun.errors import UsageError

_SECRET = frozenset({"key", "api-key", "apikey", "token", "access-token", "subscription-key", "sig", "signature"})


class Provider(Protocol):
    """What a table of providers tells of one that is asked.

    `base_url` is the address (None: there is none that all share), `addresses` are environment variables that carry it instead, `own_hosts`
    endings of the hosts that are the provider's besides, `key_addresses` addresses by how a key begins, `keys` environment variables that
    carry the key, `auth` the header of the key (`authorization` carries it as a bearer's), `needs_key` whether its own address needs one.
    """

    @property
    def name(self) -> str:
        """Return its name as the job file writes it."""

    @property
    def base_url(self) -> str | None:
        """Return the address."""

    @property
    def addresses(self) -> tuple[str, ...]:
        """Return the variables of the address."""

    @property
    def own_hosts(self) -> tuple[str, ...]:
        """Return the endings of its hosts."""

    @property
    def key_addresses(self) -> tuple[tuple[str, str], ...]:
        """Return the beginnings of keys with their addresses."""

    @property
    def keys(self) -> tuple[str, ...]:
        """Return the variables of the key."""

    @property
    def auth(self) -> str:
        """Return the header of the key."""

    @property
    def needs_key(self) -> bool:
        """Say whether nothing can be sent to its own address without a key."""


@dataclass(frozen=True, slots=True)
class Address:
    """`base_url` is where the provider is asked; `own` says that this is the provider's own address, whose key is in the environment."""

    base_url: str
    own: bool
    key: str = field(repr=False)


def find_address(provider: Provider, base_url: str | None, api_key: str | None, environ: Mapping[str, str]) -> Address:
    """Return address and key. A key of the environment goes to the provider's own address only.

    >>> from asyncrun.embedders.providers import PROVIDERS
    >>> find_address(PROVIDERS["openai"], "http://localhost:1/v1", None, {"OPENAI_API_KEY": "k"}).key
    ''

    Raises UsageError when there is no address, or it is not one.
    """
    given = (api_key or "").strip()
    key = given or _first(provider.keys, environ)
    told = _first(provider.addresses, environ)
    usual = with_scheme(told, provider.base_url) if told else _by_key(provider, key)
    base = (base_url or usual or "").rstrip("/")
    if not base:
        hint = f"Set base_url{''.join(f', or the variable {name}' for name in provider.addresses)}."
        raise UsageError(f"{provider.name} has no address of its own", hint=hint)
    check_address(base)
    host = host_of(base)
    known = [usual, provider.base_url, *(address for _, address in provider.key_addresses)]
    own = host in {host_of(address) for address in known if address} or f".{host}".endswith(provider.own_hosts)
    return Address(base, own, key if given or own else "")


def auth_header(provider: Provider, key: str) -> dict[str, str]:
    """Return the header that carries a key, none without a key."""
    if not key:
        return {}
    return {provider.auth: f"Bearer {key}" if provider.auth == "authorization" else key}


def check_key(provider: Provider, address: Address, headers: Iterable[str]) -> None:
    """Raise UsageError when a key is needed and neither there nor in one of the headers (their names) that are given."""
    given = {name.lower() for name in headers} & {provider.auth, "authorization"}
    if provider.needs_key and address.own and not address.key and not given:
        hint = f"Set the variable {' or '.join(provider.keys)}, or api_key in the job file."
        raise UsageError(f"no key for {host_of(address.base_url)}", hint=hint)


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
        raise UsageError("the address in the environment is not one", hint="Write it as http://HOST:PORT.") from error


def _by_key(provider: Provider, key: str) -> str | None:
    return next((address for start, address in provider.key_addresses if key.startswith(start)), provider.base_url)


def _first(names: Iterable[str], environ: Mapping[str, str]) -> str:
    return next((value for name in names if (value := environ.get(name, "").strip())), "")
