"""Every error with its exit code, and the hint that says what to do: the tree has the codes, each class its hint.

AsyncrunError                    70
├── UsageError                    2   the call cannot be carried out; nothing ran
│   ├── ArgumentError             2   an embedder or a chat model cannot be what it was told to be
│   │   └── MissingKeyError       2   a model needs a key, and there is none
│   ├── JobFileError              2   every mistake of a job file, all at once
│   └── UnknownRunError           2   no such run, or several
├── JobFailedError                1   a job cannot reach its end
│   ├── EndpointError             1   wrong model or address, a redirect, a refused certificate
│   ├── TooManyFailuresError      1   past `max_failures`
│   ├── RefusedDeletionError      1   past `max_delete`
│   ├── RepliesGoneError          1   a provider has not kept the replies of a batch
│   └── SpaceMismatchError        1   a collection holds vectors of another space
├── BudgetError                   4   the next call would pass a budget
├── OutputError                  73   an output cannot be created
├── StorageError                 74   reading or writing failed: input, state, disk
│   ├── DamagedStateError        74   the state folder cannot be read as what it should be
│   ├── DamagedStoreError        74   what a store holds is not what was put in
│   └── ResourceError            74   the machine gives no more memory, threads or open files
├── TryLaterError                75   the same command may succeed later
│   ├── LockedError              75   another run of this job file is going on
│   ├── QuotaError               75   billing or a daily quota, not speed
│   ├── ThrottledError           75   told to wait longer than `max_wait`
│   ├── OutageError              75   the endpoint is down
│   ├── WorkerLostError          75   a worker of an executor is gone
│   └── StopRunError             75   a handler of events stops the work on purpose
│       └── TokenBudgetError         chat models have used more tokens than a handler allows
├── AuthError                    77   the endpoint refused the key
├── MissingExtraError             2   an optional part is not installed
├── NestedLoopError               1   a coroutine cannot be run from here (also a RuntimeError)
└── ItemError                     3   an answer about one item; the others go on

What an embedder or a chat model raises is a ValueError too, as programs written for LlamaIndex expect it: ArgumentError, AuthError,
EndpointError, QuotaError, ThrottledError, OutageError, ItemError. Other UsageErrors are not: of a validator, pydantic would take them for
its own.
"""

from __future__ import annotations

import copyreg
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from asyncrun.error_parts import Mistake, Place, Reason
from asyncrun.short_help import ShortHelp

__all__ = [
    "ArgumentError",
    "AsyncrunError",
    "AuthError",
    "BudgetError",
    "DamagedStateError",
    "DamagedStoreError",
    "EndpointError",
    "ItemError",
    "JobFailedError",
    "JobFileError",
    "LockedError",
    "MissingExtraError",
    "MissingKeyError",
    "Mistake",
    "NestedLoopError",
    "OutageError",
    "OutputError",
    "Place",
    "QuotaError",
    "Reason",
    "RefusedDeletionError",
    "RepliesGoneError",
    "ResourceError",
    "SpaceMismatchError",
    "StopRunError",
    "StorageError",
    "ThrottledError",
    "TokenBudgetError",
    "TooManyFailuresError",
    "TryLaterError",
    "UnknownRunError",
    "UsageError",
    "WorkerLostError",
]


def os_words(error: BaseException) -> str:
    """Return what the system says of an error, without the number and the path that stand around it; of another one, what it says itself.

    >>> os_words(OSError(28, "No space left on device", "out.jsonl"))
    'No space left on device'
    """
    if isinstance(error, UnicodeDecodeError):
        return f"not a text in {error.encoding.upper()}"
    return getattr(error, "strerror", None) or str(error)


class AsyncrunError(Exception, metaclass=ShortHelp):
    """The root of all errors that asyncrun raises on purpose.

    `message` is one sentence, `place` where it happened, `hint` what to do about it. What was answered or used before is none of its
    business: an outcome holds it.

    >>> import asyncrun
    >>> try:
    ...     asyncrun.run("no-such-file.yaml")
    ... except AsyncrunError as error:
    ...     print(f"{error} (exit code {error.exit_code})")
    no-such-file.yaml: no such file (exit code 2)
    """

    exit_code: ClassVar[int] = 70
    hint: str = "Run again with --debug to see where it happened."

    def __init__(self, message: str, *, place: Place | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.place = place
        if hint is not None:
            self.hint = hint

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.place else self.message

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]:
        """Have it copied and pickled whole: without a call of `__init__`, which takes other arguments in each class."""
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__  # type: ignore[attr-defined]


class UsageError(AsyncrunError):
    """The call cannot be carried out as it is; nothing ran.

    >>> import asyncrun
    >>> asyncrun.run("no-such-file.yaml")
    Traceback (most recent call last):
    asyncrun.errors.JobFileError: no-such-file.yaml: no such file
    """

    exit_code = 2
    hint = "See asyncrun --help."


class ArgumentError(UsageError, ValueError):
    """An embedder or a chat model cannot be made with these arguments, or cannot be asked with them.

    >>> from asyncrun.embedders import OpenAIEmbedding
    >>> OpenAIEmbedding("m", api_key="a-key", base_url="localhost")
    Traceback (most recent call last):
    asyncrun.errors.ArgumentError: base_url is not an address
    """

    hint = "Correct the arguments, or the model's entry in the job file."


class JobFileError(UsageError):
    """Every mistake of a job file, in the order of the file.

    >>> from asyncrun.jobs import EmbedJob
    >>> try:
    ...     EmbedJob(name="notes", input="notes.jsonl", output="out.npy", workers=0, chunk={})
    ... except JobFileError as error:
    ...     [mistake.path for mistake in error.mistakes]
    ['workers', 'chunk']
    """

    hint = "Correct the job file and run `asyncrun validate`."

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        super().__init__("\n".join(map(str, mistakes)))
        self.mistakes = tuple(mistakes)


class UnknownRunError(UsageError):
    """No recorded run has this id, or several begin with it.

    >>> print(UnknownRunError.exit_code, UnknownRunError.hint)
    2 List the recorded runs with `asyncrun trace list`.
    """

    hint = "List the recorded runs with `asyncrun trace list`."


class MissingExtraError(UsageError):
    """An optional part is named but not installed.

    >>> print(MissingExtraError.exit_code, MissingExtraError.hint)
    2 Install it: pip install 'asyncrun[EXTRA]'.
    """

    hint = "Install it: pip install 'asyncrun[EXTRA]'."


class MissingKeyError(ArgumentError):
    """A model needs a key, and there is none.

    >>> from asyncrun.embedders import OpenAIEmbedding
    >>> OpenAIEmbedding("text-embedding-3-small", environ={}).get_text_embedding("Hello")
    Traceback (most recent call last):
    asyncrun.errors.MissingKeyError: no key for api.openai.com
    """


class JobFailedError(AsyncrunError):
    """A job cannot reach its end; what is finished is kept.

    >>> import asyncrun, tempfile
    >>> job = {"name": "two", "kind": "embed", "input": {"items": ["one", ""]}, "output": "two.npy", "max_failures": 0}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     asyncrun.run({"jobs": [job]}, folder=folder).check()
    Traceback (most recent call last):
    asyncrun.errors.JobFailedError: job two: 1 of 2 items failed, 0 may (max_failures)
    """

    exit_code = 1
    hint = "Correct the cause and run the same command again: finished items are not sent again."


class EndpointError(JobFailedError, ValueError):
    """The endpoint answers, but not as the job file expects: wrong model or address, a redirect, a refused certificate.

    >>> print(EndpointError.exit_code, EndpointError.hint)
    1 Check base_url and model of the embedder or llm in the job file.
    """

    hint = "Check base_url and model of the embedder or llm in the job file."


class TooManyFailuresError(JobFailedError):
    """More items failed than `max_failures` allows.

    >>> print(TooManyFailuresError.exit_code, TooManyFailuresError.hint)
    1 Correct the items, list them under `skip`, or raise `max_failures` (--fail-fast makes it 0).
    """

    hint = "Correct the items, list them under `skip`, or raise `max_failures` (--fail-fast makes it 0)."


class RefusedDeletionError(JobFailedError):
    """More would be deleted or replaced than `max_delete` allows.

    >>> print(RefusedDeletionError.exit_code, RefusedDeletionError.hint)
    1 If this is meant, allow it once with `--max-delete`, or raise `max_delete` in the job file.
    """

    hint = "If this is meant, allow it once with `--max-delete`, or raise `max_delete` in the job file."


class RepliesGoneError(JobFailedError):
    """A provider does not keep the replies of a batch any more: it was collected too late, or somebody has removed them.

    >>> print(RepliesGoneError.exit_code, RepliesGoneError.hint)
    1 The next run of the same command sends what was not collected anew, and it is paid again.
    """

    hint = "The next run of the same command sends what was not collected anew, and it is paid again."


class SpaceMismatchError(JobFailedError):
    """Vectors of two spaces would be mixed.

    >>> print(SpaceMismatchError.exit_code, SpaceMismatchError.hint)
    1 Use the embedder that filled the collection, or another collection.
    """

    hint = "Use the embedder that filled the collection, or another collection."


class BudgetError(AsyncrunError):
    """The next call would pass a budget: the job has stopped before it.

    >>> import asyncrun, tempfile
    >>> job = {"name": "a", "kind": "embed", "input": {"items": ["one"]}, "output": "a.npy", "budget": {"tokens": 1}}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     asyncrun.run({"jobs": [job]}, folder=folder).check()
    Traceback (most recent call last):
    asyncrun.errors.BudgetError: job a: the budget of 1 tokens is reached: 0 used, the next call needs about 3
    """

    exit_code = 4
    hint = "Raise `budget` in the job file (or --max-cost), then run the same command again: finished items are not sent again."


class OutputError(AsyncrunError):
    """An output cannot be created.

    >>> print(OutputError.exit_code, OutputError.hint)
    73 Choose another output path, or make the folder writable.
    """

    exit_code = 73
    hint = "Choose another output path, or make the folder writable."


class StorageError(AsyncrunError):
    """Reading or writing failed: an input, the state folder, the disk.

    >>> print(StorageError.exit_code, StorageError.hint)
    74 Free the disk or mend the file, then run the same command again.
    """

    exit_code = 74
    hint = "Free the disk or mend the file, then run the same command again."


class DamagedStateError(StorageError):
    """A file of the state folder is not what it should be.

    >>> print(DamagedStateError.exit_code, DamagedStateError.hint)
    74 Set the file aside; deleting it loses nothing but time and money.
    """

    hint = "Set the file aside; deleting it loses nothing but time and money."


class DamagedStoreError(StorageError):
    """What a store holds is not what was put in.

    >>> print(DamagedStoreError.exit_code, DamagedStoreError.hint)
    74 Run the ingest job that fills it: it mends the store from the ledger, and what is finished is not sent again.
    """

    hint = "Run the ingest job that fills it: it mends the store from the ledger, and what is finished is not sent again."


class ResourceError(StorageError):
    """The machine gives this process no more memory, threads or open files.

    >>> print(ResourceError.exit_code, ResourceError.hint)
    74 Raise the limit (`ulimit -a` shows it) or free memory, and run the same command again: finished items are not sent again.
    """

    hint = "Raise the limit (`ulimit -a` shows it) or free memory, and run the same command again: finished items are not sent again."


class TryLaterError(AsyncrunError):
    """The same command may succeed later; nothing is lost.

    >>> from asyncrun.embedders import OpenAIEmbedding
    >>> try:
    ...     OpenAIEmbedding("m", base_url="http://127.0.0.1:9/v1", max_retries=0).get_text_embedding("Hello")
    ... except TryLaterError as error:
    ...     print(error.hint)
    Check the address and the network, then run the same command again: finished items are not sent again.
    """

    exit_code = 75
    hint = "Run the same command again later: finished items are not sent again."


class LockedError(TryLaterError):
    """Another run of the same job file is going on.

    >>> print(LockedError.exit_code, LockedError.hint)
    75 Wait for it to end, or stop it.
    """

    hint = "Wait for it to end, or stop it."


class QuotaError(TryLaterError, ValueError):
    """Billing or a daily quota, not speed: waiting a minute does not help.

    >>> print(QuotaError.exit_code, QuotaError.hint)
    75 Check the account's billing and quota, then run the same command again.
    """

    hint = "Check the account's billing and quota, then run the same command again."


class ThrottledError(TryLaterError, ValueError):
    """The endpoint asks for a longer wait than `retry.max_wait`.

    >>> print(ThrottledError.exit_code, ThrottledError.hint)
    75 Run the same command again later: finished items are not sent again.
    """


class OutageError(TryLaterError, ValueError):
    """The endpoint cannot be reached, or answers nothing but errors.

    >>> from asyncrun.embedders import OpenAIEmbedding
    >>> OpenAIEmbedding("m", base_url="http://127.0.0.1:9/v1", max_retries=0).get_text_embedding("Hello")
    Traceback (most recent call last):
    asyncrun.errors.OutageError: cannot reach 127.0.0.1:9: the connection is refused (1 attempt)
    """

    hint = "Check the address and the network, then run the same command again: finished items are not sent again."


class WorkerLostError(TryLaterError):
    """A worker of an executor has ended, or could not be reached any more, before it answered a call.

    >>> str(WorkerLostError("worker 127.0.0.1 pid 4711 was lost: killed by SIGKILL"))
    'worker 127.0.0.1 pid 4711 was lost: killed by SIGKILL'
    """

    hint = "Look for a lack of memory on its machine, then run the same command again: finished items are not sent again."


class StopRunError(TryLaterError):
    """Raised by a handler of events that stops the work on purpose: whoever has begun it gets this error, and nothing is left running.

    >>> raise StopRunError("the night is over")
    Traceback (most recent call last):
    asyncrun.errors.StopRunError: the night is over
    """

    hint = "Run the same command again: finished items are not sent again."

    def __init__(self, message: str = "a handler has stopped the work", *, place: Place | None = None, hint: str | None = None) -> None:
        super().__init__(message, place=place, hint=hint)


class TokenBudgetError(StopRunError, ValueError):
    """Chat models have used more tokens than a `TokenCountingHandler` allows.

    >>> from asyncrun import CallbackManager, CBEventType
    >>> from asyncrun.callbacks import TokenCountingHandler
    >>> manager = CallbackManager([TokenCountingHandler(token_budget=10)])
    >>> try:
    ...     with manager.event(CBEventType.LLM) as event:
    ...         event.on_end({"prompt": "Hi", "completion": "Hello", "input_tokens": 8, "output_tokens": 3})
    ... except TokenBudgetError as error:
    ...     print(error)
    """

    hint = "Raise token_budget, or count anew with reset_counts()."


class AuthError(AsyncrunError, ValueError):
    """The endpoint refused the key.

    >>> from asyncrun.embedders import OpenAIEmbedding
    >>> from asyncrun.testing import FakeServer
    >>> with FakeServer(key="the-right-key").in_thread() as server:
    ...     try:
    ...         OpenAIEmbedding("m", base_url=server.base_url, api_key="another-key").get_text_embedding("Hello")
    ...     except AuthError as error:
    ...         print(error.exit_code)
    77
    """

    exit_code = 77
    hint = "Check the API key of the embedder (its environment variable, or api_key in the job file)."


class NestedLoopError(JobFailedError, RuntimeError):
    """A coroutine cannot be run from here, because of the event loop that is already running.

    >>> print(NestedLoopError.exit_code, NestedLoopError.hint)
    1 Await the coroutine, or create what it uses inside the coroutine itself.
    """

    hint = "Await the coroutine, or create what it uses inside the coroutine itself."


class ItemError(AsyncrunError, ValueError):
    """An answer about one item: it fails, the others go on.

    `reason` is one of `Reason`, or a plugin's own word.

    >>> from asyncrun.embedders import LocalEmbedding
    >>> try:
    ...     LocalEmbedding().get_text_embedding("")
    ... except ItemError as error:
    ...     print(error.reason)
    empty
    """

    exit_code = 3
    hint = "See `asyncrun failed`."

    def __init__(self, message: str, *, reason: str, place: Place | None = None, hint: str | None = None) -> None:
        super().__init__(message, place=place, hint=hint)
        self.reason = reason
