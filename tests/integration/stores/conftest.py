"""Asserts of the shipped suite explain themselves like those of a test."""

import pytest

pytest.register_assert_rewrite("asyncrun.testing.stores", "asyncrun.testing.browsing")
