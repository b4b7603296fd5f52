"""Secrets are masked, known or only shaped like one; sentences about them stay readable."""

from __future__ import annotations

import html
import json
import traceback
from dataclasses import dataclass
from urllib.parse import quote, quote_plus

import pytest

from asyncrun.redact import Redactor, redact_error


@pytest.mark.parametrize(
    "text",
    [
        "api_key: §",
        "api_key=§",
        "api_key=§ and more",
        '{"api_key": "§ and more"}',
        "'x-goog-api-key': '§'",
        "X-Api-Key: §\nHost: example",
        "Authorization: Bearer § sent",
        '{"Authorization": "Basic §", "accept": "*/*"}',
        "{'authorization': 'Basic §'}",
        "https://§@host/v1",
        "HTTPS://§@host/v1",
        "a." * 100_000 + "https://§@host/v1",
        "https://host/v1?token=§&page=2",
    ],
)
@pytest.mark.parametrize("secret", ["hunter", "correcthorse", "5f7a5f7a5f7a", "S3CR3T-part"])
def test_what_stands_where_a_secret_stands_is_masked(text: str, secret: str) -> None:
    assert Redactor().redact(text.replace("§", secret)) == text.replace("§", "***")


@pytest.mark.parametrize(
    "text",
    [
        "embedders.o.api_key: the variable OPENAI_API_KEY is not set",
        "embedders.o.api_key: a key must not stand in the job file",
        "write api_key: ${OPENAI_API_KEY}",
        'embedder: {provider: openai, api_key: "${OPENAI_API_KEY}"}',
        "write api_key: {file: PATH}",
    ],
)
def test_words_about_a_key_stay(text: str) -> None:
    assert Redactor().redact(text) == text


@pytest.mark.parametrize("text", ["api_key: ${KEY}5f7a5f7a", "api_key: ${KEY:-5f7a5f7a}"])
def test_a_variable_with_more_than_its_name_is_masked(text: str) -> None:
    assert "5f7a" not in Redactor().redact(text)


KEY = "sk/1+2 3\"4\\5<6>&'7%8"


@pytest.mark.parametrize("said", [KEY, json.dumps({"key": KEY}), html.escape(KEY), quote(KEY), quote(KEY, safe=""), quote_plus(KEY)])
def test_a_secret_is_masked_in_each_way_that_it_may_be_written(said: str) -> None:
    masked = Redactor([f"Bearer {KEY}"]).redact(f"no such key: {said}!")
    assert "sk/1" not in masked
    assert "sk%2F1" not in masked
    assert masked.startswith("no such key: ")


def test_the_password_of_an_address_is_a_secret_too_and_its_host_is_none() -> None:
    redactor = Redactor(["https://me:hunter%2F2@host/ping/slug"])
    assert redactor.redact("hunter/2 or hunter%2F2 at host: https://me:hunter%2F2@host/ping/slug") == "*** or *** at host: ***"


def test_an_error_and_all_that_led_to_it_lose_their_secrets() -> None:
    class OddError(Exception):
        def __init__(self, message: str) -> None:
            super().__init__(message, 7)
            self.message = message

    try:
        try:
            raise ValueError(f"cannot use {KEY}")
        except ValueError as cause:
            raise OddError(f"refused: {KEY}") from ExceptionGroup("several", [KeyError(KEY), cause])
    except OddError as error:
        error.__cause__.__context__ = error
        redact_error(error, Redactor([KEY]).redact)
        told = "".join(traceback.format_exception(error)) + error.message
        assert error.args == ("refused: ***", 7)
    assert "sk/1" not in told
    assert told.count("***") == 4


@dataclass(frozen=True)
class FrozenError(Exception):
    """An error of a plugin whose fields may not be set."""

    message: str


class ReadOnlyError(Exception):
    """An error of a plugin that lets nothing be set."""

    __slots__ = ("words",)

    def __init__(self, words: str) -> None:
        super().__init__(words)
        object.__setattr__(self, "words", words)

    def __setattr__(self, name: str, value: object) -> None:
        raise TypeError("nothing may be set")


@pytest.mark.parametrize(
    "error",
    [
        OSError(2, f"no file for {KEY}", f"/keys/{KEY}", None, f"/old/{KEY}"),
        FrozenError(f"refused: {KEY}"),
        ReadOnlyError(f"refused: {KEY}"),
        UnicodeEncodeError("ascii", KEY, 0, 1, f"not in {KEY}"),
        ImportError(f"no module {KEY}", name=KEY, path=KEY),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_an_error_holds_beside_its_words_loses_its_secrets_too(error: Exception) -> None:
    error.__dict__["__notes__"] = [f"while it was sent with {KEY}"]
    redact_error(error, Redactor([KEY]).redact)
    parts = [getattr(error, name, "") for name in ("filename", "filename2", "strerror", "message", "words", "object", "name", "path")]
    told = f"{''.join(traceback.format_exception(error))} {parts} {error.args}"
    assert "sk/1" not in told
    assert "while it was sent with ***" in told


def test_what_nobody_can_set_keeps_no_other_error_from_losing_its_secrets() -> None:
    group = ExceptionGroup("several", [FrozenError(KEY), OSError(2, "no file", KEY)])
    redact_error(group, Redactor([KEY]).redact)
    assert "sk/1" not in "".join(traceback.format_exception(group))


def test_the_role_of_a_database_is_a_word_like_any_other() -> None:
    redactor = Redactor(["postgresql://asyncrun@host/kb", "postgresql://keeper:hunter%2F2@host/kb"])
    assert redactor.redact("asyncrun: keeper was refused with hunter/2") == "asyncrun: keeper was refused with ***"
