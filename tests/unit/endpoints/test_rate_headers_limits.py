"""What servers say of their limits, in the forms that they are known to use."""

import pytest

from asyncrun.aio.limits import StatedLimit
from asyncrun.endpoints.rate_headers import stated_limits

NOW = 1_800_000_000.0


def openai(**more):
    return {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "59",
        "x-ratelimit-reset-requests": "1s",
        "x-ratelimit-limit-tokens": "150000",
        "x-ratelimit-remaining-tokens": "149984",
        "x-ratelimit-reset-tokens": "12ms",
        **{name.replace("_", "-"): value for name, value in more.items()},
    }


def test_openai_says_requests_and_tokens_with_resets_as_go_writes_durations():
    assert stated_limits(openai(), NOW) == {"requests": StatedLimit(60, 59, 1.0), "tokens": StatedLimit(150000, 149984, 0.012)}


def test_a_reset_of_more_than_a_minute_is_that_of_another_window_and_not_counted_on():
    assert stated_limits(openai(**{"x-ratelimit-reset-tokens": "6m0s"}), NOW)["tokens"] == StatedLimit(150000, 149984, None)


def test_azure_says_plain_seconds():
    headers = {"x-ratelimit-limit-tokens": "1000", "x-ratelimit-remaining-tokens": "10", "x-ratelimit-reset-tokens": "45"}
    assert stated_limits(headers, NOW) == {"tokens": StatedLimit(1000, 10, 45.0)}


@pytest.mark.parametrize("value", ["-1", "0", "", "none", "nan", "inf", "1e9", "\u0663", "9" * 400])
def test_a_limit_that_is_not_positive_or_no_number_is_none(value):
    assert stated_limits({"x-ratelimit-limit-requests": value, "x-ratelimit-limit-tokens": "5"}, NOW) == {"tokens": StatedLimit(5)}


@pytest.mark.parametrize("value", ["-1", "", "soon", "nan"])
def test_a_remainder_or_a_reset_that_is_no_number_is_not_known(value):
    headers = openai(**{"x-ratelimit-remaining-requests": value, "x-ratelimit-reset-requests": value})
    assert stated_limits(headers, NOW)["requests"] == StatedLimit(60)


def test_mistral_has_names_of_its_own():
    headers = {
        "x-ratelimit-limit-req-minute": "30",
        "x-ratelimit-remaining-req-minute": "29",
        "x-ratelimit-limit-tokens-minute": "20000000",
        "x-ratelimit-remaining-tokens-minute": "19999990",
        "x-ratelimit-tokens-query-cost": "10",
    }
    assert stated_limits(headers, NOW) == {"requests": StatedLimit(30, 29), "tokens": StatedLimit(20_000_000, 19_999_990)}


def test_cohere_says_when_and_not_how_much():
    assert stated_limits({"x-ratelimit-reset": str(NOW + 30), "retry-after": "30"}, NOW) == {}


def test_a_reset_may_be_a_time_and_the_servers_own_date_is_now():
    headers = openai(date="Thu, 01 Jan 2026 00:00:00 GMT", **{"x-ratelimit-reset-requests": "1767225630"})
    assert stated_limits(headers, NOW)["requests"].reset == 30.0


def test_the_draft_of_the_ietf_names_its_window():
    headers = {"ratelimit": '"api";r=20;t=55', "ratelimit-policy": '"fixed window";"api";q=500;w=300'}
    assert stated_limits(headers, NOW) == {"requests": StatedLimit(100.0, 20.0, 55.0)}


@pytest.mark.parametrize("policy", ["", "nonsense", '"api";q=0;w=300', '"api";q=5;w=0', '"api";w=300', f'"api";q={"9" * 300};w=1'])
def test_a_policy_that_cannot_be_is_none(policy):
    assert stated_limits({"ratelimit-policy": policy, "ratelimit": '"api";r=0;t=55'}, NOW) == {}


def test_servers_that_say_nothing_cost_nothing():
    assert stated_limits({"content-type": "application/json", "date": "x"}, NOW) == {}


def test_anthropic_counts_what_goes_in_and_what_comes_out_apart_and_names_times():
    headers = {
        "anthropic-ratelimit-requests-limit": "50",
        "anthropic-ratelimit-requests-remaining": "49",
        "anthropic-ratelimit-requests-reset": "2027-01-15T08:00:01Z",
        "anthropic-ratelimit-input-tokens-limit": "30000",
        "anthropic-ratelimit-input-tokens-remaining": "29000",
        "anthropic-ratelimit-input-tokens-reset": "soon T",
        "anthropic-ratelimit-output-tokens-limit": "8000",
        "anthropic-ratelimit-output-tokens-remaining": "8000",
    }
    assert stated_limits(headers, NOW) == {
        "requests": StatedLimit(50, 49, 1.0),
        "input_tokens": StatedLimit(30000, 29000),
        "output_tokens": StatedLimit(8000, 8000),
    }
