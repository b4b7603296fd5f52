"""The root of embedders of a provider in the table: its row settles address, key, limits, fields of a request, and the space."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Unpack, cast

from asyncrun.embedders.assemble import merge, no_vectors, renumber
from asyncrun.embedders.named_tokenizer import load_tokenizer
from asyncrun.embedders.providers import PROVIDERS
from asyncrun.embedders.remote import RemoteEmbedding, RemoteOptions, Write
from asyncrun.endpoints.address import auth_header, check_key, find_address
from asyncrun.endpoints.url import fill, join, with_query
from asyncrun.errors import UsageError
from asyncrun.ports import Tokenizer
from asyncrun.records import Embedded, EmbedFailure, InputType, Space

_ELSEWHERE = {
    "model_name": "model",
    "api_base": "base_url",
    "azure_endpoint": "base_url",
    "auth_token": "api_key",
    "token": "api_key",
}
"""Arguments under the names that LlamaIndex has for them."""


class ProviderOptions(RemoteOptions, total=False):
    """What every embedder of a provider can be given besides, LlamaIndex's other names for the arguments among them."""

    model_name: str
    deployment_name: str
    api_base: str
    azure_endpoint: str
    auth_token: str
    token: str
    embed_batch_size: int


class ProviderEmbedding(RemoteEmbedding):
    """An embedder of a provider in the table; a dialect adds `_request` and `_read`, a provider its name.

    Args:
        model: The provider's name of the model; left out where the provider has one to go by.
        api_key: Default: the provider's own environment variable, for the provider's own address only; elsewhere no key is sent unless it
            is given here.
        base_url: Default: the provider's, or what its environment variable says.
        dimensions: Asked for, where the model has a choice; the vectors must then have that many numbers.
        input_type: The provider's own word for what the texts are, instead of its words for documents and queries.
        space: A name of the vector space, for endpoints that give the same vectors.
        extra_body: Merged into the request's JSON.
        api_version: Of Azure's deployments.
        params: A query string; keys do not belong there.
        tokenizer: The name of one, or the path of a `tokenizer.json`.
        environ: Where environment variables are looked for; default: `os.environ`.
        options: See `RemoteOptions`; `model_name`, `api_base` and others of LlamaIndex's names are understood too.

    Raises UsageError for an address, a key or a model that cannot be used.
    """

    provider: str

    def __init__(
        self,
        model: str | None = None,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        dimensions: int | None = None,
        input_type: str | None = None,
        space: str | None = None,
        extra_body: Mapping[str, Any] | None = None,
        api_version: str | None = None,
        params: Mapping[str, object] | None = None,
        tokenizer: str | None = None,
        environ: Mapping[str, str] | None = None,
        **options: Unpack[ProviderOptions],
    ) -> None:
        other = _taken_out(options)
        # As a default of the argument `help()` would show all of it, keys included.
        environ = os.environ if environ is None else environ
        self.row = PROVIDERS[self.provider]
        self.echoes_model = self.row.echoes_model
        # A deployment's name goes before that of the model in it, as in LlamaIndex.
        model = other.get("deployment_name") or model or other.get("model") or self._usual_model(environ)
        address = find_address(self.row.vendor, base_url or other.get("base_url"), api_key or other.get("api_key"), environ)
        batch = options.get("batch") or self.row.batch
        if "embed_batch_size" in other:
            batch = replace(batch, max_items=other["embed_batch_size"])
        self._extra = dict(extra_body or {})
        self._api_version = api_version
        self.keeps_together = any(self._extra.get(switch) for switch in self.row.mixing)
        # Alone, a text has the same vector whatever else there is to embed, also after an interruption.
        options["batch"] = replace(batch, max_items=1) if self.keeps_together else batch
        super().__init__(
            model=model,
            url=with_query(self._url(address.base_url, model), dict(params or {})),
            auth=auth_header(self.row.vendor, address.key),
            dimensions=dimensions,
            max_input_tokens=self.row.max_input_tokens(model),
            **cast(RemoteOptions, options),
        )
        self._input_type = input_type
        self._tokenizer = None if tokenizer is None else load_tokenizer(tokenizer)
        self._check_key = partial(check_key, self.row.vendor, address, list(options.get("headers", {})))
        host = self.endpoint.host if self.row.vendor.self_hosted or not address.own else None
        self._spaces = {kind: Space(self.provider, model, dimensions, self._word(kind), self._extra, host, space) for kind in InputType}

    def check(self) -> None:
        """Raise UsageError when the provider's own address is meant and there is no key."""
        self._check_key()

    def space(self, input_type: InputType) -> Space:
        """Return the vector space; for providers that tell documents and queries apart, one for each."""
        return self._spaces[input_type]

    @property
    def cuts(self) -> bool:
        """Say whether the endpoint cuts too long texts by itself when it is told to."""
        return bool(self.row.cut)

    @property
    def tokenizer(self) -> Tokenizer | None:
        """Return the tokenizer that was named."""
        return self._tokenizer

    def _usual_model(self, environ: Mapping[str, str]) -> str:
        told = next((value for name in self.row.models if (value := environ.get(name, "").strip())), self.row.model)
        if told is None and self.row.needs_model:
            names = "".join(f", or the variable {name}" for name in self.row.models)
            raise UsageError(f"{self.provider} needs the name of a model", hint=f"Set model{names}.")
        return told or ""

    def _url(self, base_url: str, model: str) -> str:
        """Return where requests are posted."""
        return join(base_url, fill(self.row.path, model))

    def _word(self, input_type: InputType) -> str | None:
        """Return the provider's word for texts of this type, None where nothing is said."""
        if self._input_type is not None or not self.row.knows_input_types(self.model_name):
            return self._input_type
        return self.row.input_types.document if input_type is InputType.DOCUMENT else self.row.input_types.query

    def _fields(self, input_type: InputType, *, cut: bool) -> dict[str, Any]:
        """Return what a request says besides texts and model."""
        fields: dict[str, Any] = {}
        if self._asked.dimensions is not None and self.row.dimensions is not None:
            fields[self.row.dimensions] = self._asked.dimensions
        if (word := self._word(input_type)) is not None:
            fields[self.row.input_types.field] = word
        return {**fields, **(self.row.cut if cut else self.row.refuse)}

    async def _deliver(self, texts: Sequence[str], write: Write) -> Embedded:
        most = self.row.input_characters
        if most is None or max(map(len, texts)) <= most:
            return await super()._deliver(texts, write)
        fitting = [place for place, text in enumerate(texts) if len(text) <= most]
        failures = [
            EmbedFailure(place, "too_long", f"{self.provider} takes {most} characters. Given: {len(text)}", attempts=0)
            for place, text in enumerate(texts)
            if len(text) > most
        ]
        answered = [renumber(await super()._deliver([texts[place] for place in fitting], write), fitting)] if fitting else []
        return merge([*answered, no_vectors(failures)])


def _taken_out(options: ProviderOptions) -> dict[str, Any]:
    """Take out of the options what has another name here. Raises TypeError for a name that nobody knows."""
    untyped = cast(dict[str, Any], options)
    if unknown := untyped.keys() - ProviderOptions.__optional_keys__:
        raise TypeError(f"unknown argument {min(unknown)!r}")
    other = {name: untyped.pop(name) for name in ("deployment_name", "embed_batch_size") if name in untyped}
    return other | {_ELSEWHERE[name]: untyped.pop(name) for name in _ELSEWHERE if name in untyped}
