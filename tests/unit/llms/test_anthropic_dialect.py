"""What is asked of Anthropic: a limit always, the system's words beside the messages, a schema in the form that it takes."""

import pytest

from asyncrun.llms.http_chat import HttpChat
from asyncrun.llms.interface import Message

CLOSED = {"type": "object", "properties": {"kind": {"type": "string"}}, "required": ["kind"], "additionalProperties": False}
OPEN = {"type": "object", "properties": {"kind": {"type": "string", "maxLength": 5}}}


def chat(**options):
    return HttpChat(**{"model": "claude", "provider": "anthropic", "environ": {"ANTHROPIC_API_KEY": "a-key"}, **options})


def test_it_is_asked_at_its_own_address_with_its_own_headers():
    endpoint = chat().endpoint
    assert endpoint.url == "https://api.anthropic.com/v1/messages"
    assert endpoint.headers == {"anthropic-version": "2023-06-01", "x-api-key": "a-key"}
    assert endpoint.secrets - {""} == {"a-key"}


@pytest.mark.parametrize("base_url", ["https://proxy.example", "https://proxy.example/v1", "https://proxy.example/v1/messages"])
def test_a_proxy_is_named_with_or_without_the_path(base_url):
    assert chat(base_url=base_url).endpoint.url == "https://proxy.example/v1/messages"


def test_a_limit_is_always_sent_and_known():
    assert chat().request_body([Message("user", "Why?")]) == {
        "model": "claude",
        "max_tokens": 4096,
        "messages": [{"role": "user", "content": "Why?"}],
    }
    assert chat().max_output_tokens == 4096
    assert chat(max_output_tokens=5).request_body([Message("user", "Why?")])["max_tokens"] == 5


def test_the_systems_words_stand_beside_the_conversation_and_a_seed_is_not_sent():
    messages = [Message("system", "Be brief."), Message("user", "Why?"), Message("assistant", "So."), Message("user", "And now?")]
    body = chat().request_body(messages, seed=7)
    assert body["system"] == "Be brief."
    assert [message["role"] for message in body["messages"]] == ["user", "assistant", "user"]
    assert not any("seed" in name for name in body)


def test_a_schema_that_keeps_the_rules_is_a_format_and_another_one_a_tool():
    kept = chat().request_body([Message("user", "Which?")], schema=CLOSED)
    assert kept["output_config"] == {"format": {"type": "json_schema", "schema": CLOSED}}
    tool = chat().request_body([Message("user", "Which?")], schema=OPEN)
    assert tool["tool_choice"] == {"type": "tool", "name": tool["tools"][0]["name"]}
    assert tool["tools"][0]["input_schema"] == OPEN
    assert "output_config" not in tool


def test_what_is_no_object_is_told_in_words():
    body = chat().request_body([Message("system", "Be brief."), Message("user", "Which?")], schema={"type": "array"})
    assert body["system"].startswith("Be brief.\n\n")
    assert body["system"].endswith('{"type":"array"}')
    assert {"tools", "output_config"} & body.keys() == set()
