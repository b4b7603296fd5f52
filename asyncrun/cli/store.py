"""`asyncrun store`: what is in a store, a search by hand, and its collections in a file or in another store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from asyncrun.cli._flags_and_completion import GlobalOptions, complete_stores
from asyncrun.errors import UsageError
from asyncrun.grammar.file_formats import STDOUT
from asyncrun.humanize import counted

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncrun.app.store_commands import StoreCall
    from asyncrun.clock import Clock

HEARTBEAT = 10.0
"""Seconds between two lines about how far a copy is."""
Name = Annotated[
    str, typer.Argument(metavar="STORE", autocompletion=complete_stores, help="A store of the job file, or the path of an sqlite store.")
]
CollectionName = Annotated[str, typer.Argument(metavar="COLLECTION", help="Which of its collections.")]
JobFileFlag = Annotated[
    Path | None, typer.Option("-f", "--file", metavar="FILE", help="The job file.", show_default="asyncrun.yaml or jobs.yaml")
]


def store(_options: GlobalOptions) -> int:
    """Look into a store, search it by hand, copy what is in it.

    Example: asyncrun store list docs -f jobs.yaml
    """
    raise UsageError("no command given", hint="See asyncrun store --help.")


def list_collections(options: GlobalOptions, store: Name, file: JobFileFlag = None) -> int:
    """List the collections of a store, and what filled them.

    Example: asyncrun store list ./index.db
    """
    from asyncrun.app.store_commands import list_collections
    from asyncrun.cli._output import print_answer, print_document, width
    from asyncrun.ui.stores import collections_document, render_collections

    config, views = list_collections(_call(options, store, file))
    if options.json:
        print_document(collections_document(store, config.type, views))
    else:
        print_answer(render_collections(store, views, width()), sentences=True)
    return 0


def stats(options: GlobalOptions, store: Name, collection: CollectionName, file: JobFileFlag = None) -> int:
    """Show what a collection holds. That is its sources, chunks, size and space, and the names of its metadata.

    Example: asyncrun store stats docs handbook --json
    """
    from asyncrun.app.store_commands import view_collection
    from asyncrun.cli._output import print_answer, print_document
    from asyncrun.ui.stores import collection_document, render_collection

    view = view_collection(_call(options, store, file), collection)
    if options.json:
        print_document(collection_document(store, view))
    else:
        print_answer(render_collection(view), sentences=True)
    return 0


def search(
    options: GlobalOptions,
    store: Name,
    collection: CollectionName,
    query: Annotated[str, typer.Argument(metavar="QUERY", help="What is asked.")],
    file: JobFileFlag = None,
    *,
    top_k: Annotated[int, typer.Option("-n", "--top-k", min=1, metavar="N", help="So many hits at most.")] = 5,
    mode: Annotated[
        Literal["vector", "keyword", "hybrid"], typer.Option("--mode", metavar="MODE", help="vector (meaning), keyword (words) or hybrid.")
    ] = "vector",
    filter: Annotated[str | None, typer.Option(metavar="TEXT", help="A condition on metadata: \"lang = 'en'\".")] = None,
    embedder: Annotated[
        str | None, typer.Option("-e", "--embedder", metavar="E", help="What embeds the question.", show_default="that of the job file")
    ] = None,
) -> int:
    """Search a collection by hand.

    Example: asyncrun store search docs handbook "how do I sign in?" -n 3
    """
    from asyncrun.app.store_commands import search_collection
    from asyncrun.app.store_search import Asked
    from asyncrun.cli._output import print_document, print_view, width
    from asyncrun.ui.stores import hits_document, render_hits

    hits = search_collection(_call(options, store, file), collection, query, Asked(top_k, mode, filter), embedder)
    if options.json:
        print_document(hits_document(hits))
    else:
        print_view(render_hits(hits, width()), options)
    return 0


def export_collection(
    options: GlobalOptions,
    store: Name,
    collection: CollectionName,
    file: JobFileFlag = None,
    *,
    output: Annotated[str, typer.Option("-o", "--output", metavar="PATH|-", help="Where it goes: .jsonl, .parquet or .csv.")],
) -> int:
    """Write a collection to a file. A row is a chunk with its vector, its metadata, its place, and what it was made from.

    Example: asyncrun store export docs handbook -o handbook.parquet
    """
    from asyncrun.app.store_commands import export_collection
    from asyncrun.cli._output import print_answer, print_document
    from asyncrun.cli._requests import check_target
    from asyncrun.state_folder import state_folder
    from asyncrun.ui.run_json import document

    call = _call(options, store, file)
    check_target(options, output, state_folder(call.file or Path(store), options.state_dir), call.file)
    documents, chunks = export_collection(call, collection, output)
    if options.json and output != STDOUT:
        print_document(document(documents=documents, chunks=chunks))
    elif not options.quiet:
        print_answer(f"{counted(chunks, 'chunk')} of {counted(documents, 'document')} written", to_stderr=True)
    return 0


def copy(
    options: GlobalOptions,
    store: Name,
    collection: Annotated[str | None, typer.Argument(metavar="COLLECTION", help="Which one.", show_default="all")] = None,
    file: JobFileFlag = None,
    *,
    to: Annotated[str, typer.Option("--to", metavar="STORE", autocompletion=complete_stores, help="The other store, of any type.")],
    name: Annotated[str | None, typer.Option("--as", metavar="NAME", help="What it is called there.", show_default="the same")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace documents there that differ, and remove what is not here.")] = False,
) -> int:
    """Copy a collection to another store. Nothing is embedded again; killed, it goes on where it was.

    Example: asyncrun store copy docs handbook --to pg
    """
    from asyncrun.app.store_copy import copy_collections
    from asyncrun.cli._output import print_answer, print_document
    from asyncrun.clock import SystemClock
    from asyncrun.ui.stores import copies_document, render_copies

    if name is not None and collection is None:
        raise UsageError("--as names one collection", hint="Name which: asyncrun store copy docs handbook --to pg --as manual")
    passed = _heartbeat(options, SystemClock())
    copies = copy_collections(_call(options, store, file), collection, to, name, replace_others=replace, passed=passed)
    if options.json:
        print_document(copies_document(copies, to))
    elif not options.quiet:
        print_answer(render_copies(copies, to))
    return 0


def rollback(
    options: GlobalOptions,
    store: Name,
    collection: Annotated[
        str | None, typer.Argument(metavar="COLLECTION", help="Which one.", show_default="the one that was rebuilt")
    ] = None,
    file: JobFileFlag = None,
) -> int:
    """Put back the generation before the last rebuild. Done twice, all is as it was.

    Example: asyncrun store rollback docs handbook
    """
    from asyncrun.app.store_commands import roll_back_collection
    from asyncrun.cli._output import print_answer, print_document
    from asyncrun.ui.stores import collection_document, render_rollback

    view = roll_back_collection(_call(options, store, file), collection)
    if options.json:
        print_document(collection_document(store, view))
    elif not options.quiet:
        print_answer(render_rollback(view))
    return 0


def _heartbeat(options: GlobalOptions, clock: Clock) -> Callable[[str, int], None]:
    """Return what tells on stderr, now and then, how many documents of a collection have gone by."""
    from asyncrun.cli._output import print_answer
    from asyncrun.escape import printable

    told = clock.monotonic()

    def passed(collection: str, documents: int) -> None:
        nonlocal told
        if (now := clock.monotonic()) >= told + HEARTBEAT and not options.quiet and options.progress != "never":
            told = now
            print_answer(f"copying {printable(collection)}: {counted(documents, 'document')} so far", to_stderr=True)

    return passed


def _call(options: GlobalOptions, store: str, file: Path | None) -> StoreCall:
    import os

    from asyncrun.app.request import read_environment
    from asyncrun.app.store_commands import StoreCall
    from asyncrun.cli._requests import DEFAULTS

    found = file or next((path for path in map(Path, DEFAULTS) if path.exists()), None)
    return StoreCall(store, found, read_environment(os.environ, options.env_file), options.state_dir)
