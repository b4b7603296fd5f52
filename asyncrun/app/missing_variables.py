"""Variables that models go by although the job file does not name them, such as OPENAI_API_KEY, and that an environment lacks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from asyncrun.app.shared_limits import key_of
from asyncrun.embedders.providers import PROVIDERS
from asyncrun.endpoints.address import find_address
from asyncrun.endpoints.vendors import Vendor
from asyncrun.errors import UsageError
from asyncrun.jobfile.jobs import Job
from asyncrun.jobfile.sections import EndpointConfig, ModelConfig
from asyncrun.llms.providers import PROVIDERS as CHATS


def lacking(jobs: Sequence[Job], here: Mapping[str, str], there: Mapping[str, str]) -> list[str]:
    """Return a sentence for each variable that the jobs' models go by `here`, or cannot do without, and that is not set `there`."""
    found: dict[str, None] = {}
    for job in jobs:
        for word, rows in (("embedder", PROVIDERS), ("llm", CHATS)):
            config = getattr(job, word, None)
            row = rows.get(config.provider) if isinstance(config, ModelConfig) else None
            if config is None or row is None:
                continue
            wanted = [getattr(row, "models", ())] if not config.model and _set(getattr(row, "models", ()), here) else []
            for where in config.places() or (config,):
                wanted += _wanted(row.vendor, where, config.headers, here)
            for names in wanted:
                if not _set(names, there):
                    name = " or ".join(_set(names, here) or names)
                    found[f"{word} {config.provider}: the variable {name} is not set"] = None
    return list(found)


def _wanted(
    vendor: Vendor, where: EndpointConfig | ModelConfig, headers: Mapping[str, object], here: Mapping[str, str]
) -> Iterator[tuple[str, ...]]:
    """Yield the variables of a place, those for the same thing together."""
    if vendor.addresses and not where.base_url and (vendor.base_url is None or _set(vendor.addresses, here)):
        yield vendor.addresses
    if key_of(where) or {name.lower() for name in headers} & {vendor.auth, "authorization"}:
        return
    try:
        own = find_address(vendor, where.base_url, None, here).own
    except UsageError:
        own = not where.base_url
    if own and vendor.keys and (vendor.needs_key or _set(vendor.keys, here)):
        yield vendor.keys


def _set(names: Sequence[str], environ: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(name for name in names if environ.get(name, "").strip())
