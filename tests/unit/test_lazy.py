import pytest

from asyncrun import stores
from asyncrun.stores import VectorStore


def test_a_former_name_is_there_under_the_one_of_today_with_a_warning() -> None:
    with pytest.warns(DeprecationWarning, match=r"asyncrun\.stores\.Store is asyncrun\.stores\.VectorStore now"):
        from asyncrun.stores import Store  # type: ignore[attr-defined]
    assert Store is VectorStore
    assert "Store" not in dir(stores)
