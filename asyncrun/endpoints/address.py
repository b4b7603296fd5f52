"""Where a vendor is asked: its address and its key, from what is given and from the environment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from asyncrun.endpoints.url import check_address, host_of
from asyncrun.endpoints.vendors import Vendor
from asyncrun.errors import MissingKeyError, UsageError


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

    Raises UsageError when there is no address, or it is not one.
    """
    given = (api_key or "").strip()
    key = given or _first(vendor.keys, environ)
    told = _first(vendor.addresses, environ)
    usual = with_scheme(told, vendor.base_url) if told else _by_key(vendor, key)
    base = (base_url or usual or "").rstrip("/")
    if not base:
        hint = f"Set base_url{''.join(f', or the variable {name}' for name in vendor.addresses)}."
        raise UsageError(f"{vendor.name} has no address of its own", hint=hint)
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
        raise UsageError("the address in the environment is not one", hint="Write it as http://HOST:PORT.") from error


def _by_key(vendor: Vendor, key: str) -> str | None:
    return next((address for start, address in vendor.key_addresses if key.startswith(start)), vendor.base_url)


def _first(names: Iterable[str], environ: Mapping[str, str]) -> str:
    return next((value for name in names if (value := environ.get(name, "").strip())), "")
