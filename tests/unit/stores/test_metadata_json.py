"""Metadata become JSON that any reader accepts, and come back as they were."""

import datetime
import json
import math

import pytest
from hypothesis import given

from asyncrun.stores.metadata_json import dump_metadata
from asyncrun.testing.filters import metadata


@given(metadata())
def test_metadata_come_back_as_they_were(about):
    assert json.loads(dump_metadata(about)) == about


def test_numbers_that_are_not_finite_become_null():
    about = {"a": math.nan, "b": [math.inf, 1.5], "c": {"d": (-math.inf,)}}
    assert dump_metadata(about) == '{"a":null,"b":[null,1.5],"c":{"d":[null]}}'


def test_dates_are_written_in_iso_8601():
    about = {"day": datetime.date(2024, 2, 29), "at": datetime.datetime(2024, 2, 29, 13, 5, tzinfo=datetime.UTC)}
    assert json.loads(dump_metadata(about)) == {"day": "2024-02-29", "at": "2024-02-29T13:05:00+00:00"}


def test_the_text_can_be_encoded_whatever_it_holds():
    text = dump_metadata({"größe": "a\udcffb", "\ud800": "\0"})
    assert text.encode("utf-8").decode("utf-8") == text
    assert '"größe"' in text
    assert json.loads(text) == {"größe": "a\udcffb", "\ud800": "\0"}


@pytest.mark.parametrize("value", [object(), {1}, b"bytes"])
def test_what_has_no_json_form_is_refused(value):
    with pytest.raises(TypeError, match=type(value).__name__):
        dump_metadata({"x": [math.nan, value]})
