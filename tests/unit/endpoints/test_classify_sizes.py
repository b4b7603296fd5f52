"""A server's message is read for the sizes that it tells."""

import pytest

from asyncrun.endpoints.classify import stated_sizes


@pytest.mark.parametrize(
    ("message", "sizes"),
    [
        ("maximum context length is 8192 tokens, however you requested 9,001 tokens", (9001, 8192)),
        ("`inputs` must have less than 512 tokens. Given: 700", (700, 512)),
        ("maximum input length is 8192 tokens", None),
        ("", None),
        ("0 tokens, 0 tokens", None),
    ],
)
def test_the_sizes_that_a_server_tells(message, sizes):
    assert stated_sizes(message) == sizes
