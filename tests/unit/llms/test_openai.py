"""Where a chat model is asked, with which key, and when an answer counts for another question."""

import pytest

from asyncrun.errors import UsageError
from asyncrun.llms.interface import Message, Price
from asyncrun.llms.openai import OpenAIChat
from asyncrun.llms.providers import CHAT_PROVIDERS
from asyncrun.registry import BUILT_IN

KEYS = {name: f"key-of-{name}" for row in CHAT_PROVIDERS.values() for name in row.vendor.keys}
HOME = {
    "openai": "https://api.openai.com/v1/chat/completions",
    "mistral": "https://api.mistral.ai/v1/chat/completions",
    "heroku": "https://us.inference.heroku.com/v1/chat/completions",
    "gemini": "https://generativelanguage.googleapis.com/v1beta/openai/chat/completions",
    "anthropic": "https://api.anthropic.com/v1/messages",
    "ollama": "http://localhost:11434/v1/chat/completions",
    "vllm": "http://localhost:8000/v1/chat/completions",
    "llamacpp": "http://localhost:8080/v1/chat/completions",
    "lmstudio": "http://localhost:1234/v1/chat/completions",
    "litellm": "http://localhost:4000/v1/chat/completions",
}


def test_every_provider_of_the_table_can_be_named_in_a_job_file():
    assert list(CHAT_PROVIDERS) == list(BUILT_IN["llms"])


@pytest.mark.parametrize("provider", HOME)
def test_a_provider_is_asked_at_its_own_address(provider):
    assert OpenAIChat(model="m", provider=provider, environ={}).endpoint.url == HOME[provider]


@pytest.mark.parametrize(
    ("options", "url"),
    [
        ({"base_url": "https://x.openai.azure.com"}, "https://x.openai.azure.com/openai/v1/chat/completions"),
        ({"base_url": "https://x.openai.azure.com/openai/v1/"}, "https://x.openai.azure.com/openai/v1/chat/completions"),
        (
            {"base_url": "https://x.openai.azure.com", "api_version": "2024-10-21"},
            "https://x.openai.azure.com/openai/deployments/m/chat/completions?api-version=2024-10-21",
        ),
    ],
)
def test_azure_is_asked_at_the_resource(options, url):
    llm = OpenAIChat(model="m", provider="azure", environ=KEYS, **options)
    assert llm.endpoint.url == url
    assert llm.endpoint.headers == {"api-key": "key-of-AZURE_OPENAI_API_KEY"}


def test_azure_without_an_address_cannot_be_asked():
    with pytest.raises(UsageError, match="azure has no address of its own"):
        OpenAIChat(model="m", provider="azure", environ={})


@pytest.mark.parametrize("provider", ["openai", "mistral", "heroku", "gemini", "anthropic"])
def test_the_variable_of_a_key_counts_at_the_providers_own_address_alone(provider):
    own = OpenAIChat(model="m", provider=provider, environ=KEYS)
    own.check()
    header = "x-api-key" if provider == "anthropic" else "authorization"
    assert own.endpoint.headers[header].removeprefix("Bearer ").startswith("key-of-")
    elsewhere = OpenAIChat(model="m", provider=provider, base_url="http://localhost:1/v1", environ=KEYS)
    elsewhere.check()
    assert not any("key-of-" in value for value in elsewhere.endpoint.headers.values())
    with pytest.raises(UsageError, match="no key for"):
        OpenAIChat(model="m", provider=provider, environ={}).check()


def test_a_provider_that_nothing_is_known_of_is_a_sentence():
    with pytest.raises(UsageError, match="nothing is known of chat completions of 'mistrall'; did you mean 'mistral'"):
        OpenAIChat(provider="mistrall", model="m")


def test_a_header_of_the_users_own_stands_for_the_key():
    chat = OpenAIChat(model="m", headers={"Authorization": "Basic abc"}, environ={})
    chat.check()
    assert chat.endpoint.headers == {"Authorization": "Basic abc"}


def test_the_systems_words_stand_before_the_prompt():
    assert OpenAIChat(model="m", system="Be brief.", environ={}).messages("Why?") == (
        Message("system", "Be brief."),
        Message("user", "Why?"),
    )
    assert OpenAIChat(model="m", environ={}).messages("Why?") == (Message("user", "Why?"),)


def fingerprint(**options):
    return OpenAIChat(**{"model": "m", "environ": {}, **options}).space.fingerprint


def test_what_changes_an_answer_makes_another_space_and_what_does_not_does_not():
    usual = fingerprint()
    others = [
        fingerprint(model="n"),
        fingerprint(temperature=0),
        fingerprint(temperature=1),
        fingerprint(max_output_tokens=5),
        fingerprint(extra_body={"seed": 1}),
        fingerprint(base_url="http://localhost:1/v1"),
        fingerprint(base_url="http://localhost:2/v1"),
        fingerprint(provider="mistral"),
    ]
    assert len({usual, *others}) == 9
    assert usual == fingerprint(api_key="another", timeout=5.0, price=Price(1, 2))


def test_a_cost_is_told_without_what_two_divisions_leave():
    assert Price(0.15, 0.6).of(1_000_000, 500_000) == 0.45
