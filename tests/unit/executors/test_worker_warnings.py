"""What libraries say in a worker is kept until somebody takes it, each sentence once."""

import logging
import warnings

from asyncrun.executors.worker import MOST_WARNINGS, WorkerWarnings


def test_warnings_and_log_records_are_taken_once() -> None:
    with WorkerWarnings().listening() as heard:
        warnings.simplefilter("always")
        for _ in range(2):
            warnings.warn("the model is\nold", UserWarning, stacklevel=1)
            logging.getLogger("a.library").error("no %s left", "memory")
            logging.getLogger("a.library").info("all is well")
        assert heard.take() == ("UserWarning: the model is old", "a.library: no memory left")
        logging.getLogger("a.library").error("no %s left", "memory")
        assert heard.take() == ()
    logging.getLogger("a.library").addHandler(logging.NullHandler())
    logging.getLogger("a.library").error("not heard")
    assert heard.take() == ()


def test_a_library_that_never_stops_is_not_heard_for_ever() -> None:
    with WorkerWarnings().listening() as heard:
        for number in range(MOST_WARNINGS * 2):
            logging.getLogger("a.library").warning("careful %s", number)
        logging.getLogger("a.library").warning("x" * 100_000)
    assert len(heard.take()) == MOST_WARNINGS
