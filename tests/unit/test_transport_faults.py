"""Why no whole reply came back, in words that say at which step."""

from __future__ import annotations

import errno

import aiohttp
import httpx
import pytest
from aiohttp.client_reqrep import ConnectionKey

from asyncrun.transport_faults import TransportFault, transport_error

KEY = ConnectionKey("embeddings.example", 443, True, None, None, None, None, None)


@pytest.mark.parametrize("number", [errno.ENETUNREACH, errno.EHOSTUNREACH])
def test_a_host_without_a_way_to_it_is_one_that_was_never_connected(number: int) -> None:
    try:
        try:
            raise aiohttp.ClientConnectorError(KEY, OSError(number, "no way there"))
        except aiohttp.ClientError as error:
            raise httpx.NetworkError(str(error)) from error
    except httpx.NetworkError as error:
        told = transport_error(error)
    assert (told.fault, str(told)) == (TransportFault.REFUSED, "no connection: no way there")
