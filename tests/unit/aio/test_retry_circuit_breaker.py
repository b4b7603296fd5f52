import pytest

from asyncrun.aio.retry import CircuitBreaker


def test_it_opens_after_twenty_failed_batches_in_a_row() -> None:
    circuit = CircuitBreaker()
    for _ in range(19):
        circuit.failed()
    assert not circuit.is_open

    circuit.failed()
    assert circuit.is_open


def test_one_success_ends_the_row() -> None:
    circuit = CircuitBreaker(threshold=2)
    for _ in range(10):
        circuit.failed()
        circuit.succeeded()

    assert not circuit.is_open
    assert circuit.successes == 10


def test_once_open_it_stays_open() -> None:
    circuit = CircuitBreaker(threshold=1)
    circuit.failed()
    circuit.succeeded()

    assert circuit.is_open


def test_a_threshold_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="threshold"):
        CircuitBreaker(threshold=0)
