"""What goes wrong with a PostgreSQL is one sentence with the right exit code, and never holds a password."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import numpy as np
import pytest

from asyncrun.errors import AuthError, StorageError, TryLaterError, UsageError
from asyncrun.stores.interface import Collection, SearchRequest
from asyncrun.testing.stores import make_document, search_ids
from tests.postgres import PASSWORD, PostgresServer, make_folder

pytestmark = pytest.mark.needs("postgresql")

NOTES = Collection("notes", "a" * 32, 3)


@pytest.fixture
def open_url(postgres, request):
    from asyncrun.stores.pgvector import PgVectorStore

    opened = []
    schema = "f" + str(abs(hash(request.node.name)))
    postgres.run(f'CREATE SCHEMA "{schema}"')

    def open_one(url=None, **settings):
        opened.append(PgVectorStore(url or postgres.url, **{"schema": schema, **settings}))
        return opened[-1]

    open_one.schema = schema
    yield open_one
    for store in opened:
        store.close()


def test_every_character_may_be_in_a_password(postgres, open_url):
    store = open_url(postgres.url_with())
    store.open_collection(NOTES)
    assert store.fingerprint("notes") == NOTES.fingerprint


@pytest.mark.parametrize(
    ("part", "kind", "words"),
    [
        ({"password": PASSWORD + "!"}, AuthError, "does not let this user in"),
        ({"user": "nobody"}, AuthError, "does not let this user in"),
        ({"database": "never"}, StorageError, "never"),
    ],
)
def test_who_is_not_let_in_is_told(postgres, open_url, part, kind, words):
    with pytest.raises(kind, match=words) as caught:
        open_url(postgres.url_with(**part)).fingerprint("notes")
    assert not_shown(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://me:{PASSWORD}@127.0.0.1/x",
        "postgresql://me:pa/ss@127.0.0.1/db",
        "postgresql://me:p@ss@127.0.0.1/db",
        "no address",
        "postgresql://me:secretive@h:pört/db",
    ],
)
def test_an_address_that_cannot_be_read_is_not_shown(open_url, url):
    with pytest.raises(UsageError, match=r"`url`") as caught:
        open_url(url).fingerprint("notes")
    told = str(caught.value)
    assert not_shown(caught.value)
    assert not any(piece in told for piece in ("pa/ss", "p@ss", "secretive"))


def test_a_server_that_is_not_there_is_asked_again_later(unused_port, open_url, monkeypatch):
    monkeypatch.setattr("asyncrun.stores.pgvector.connections.PATIENCE", 0.3)
    store = open_url(f"postgresql://me:{quote(PASSWORD, safe='')}@127.0.0.1:{unused_port}/docs")
    with pytest.raises(TryLaterError, match=f"127.0.0.1:{unused_port}/docs cannot be reached") as caught:
        store.marks("notes", "docs")
    assert not_shown(caught.value)


def test_what_a_user_may_not_do_is_told_and_rows_can_do_without(postgres, open_url):
    owner = open_url()
    owner.open_collection(NOTES)
    schema = open_url.schema
    postgres.run(
        f"""CREATE ROLE "r{schema}" LOGIN PASSWORD 'x'; GRANT USAGE ON SCHEMA "{schema}" TO "r{schema}";
            GRANT SELECT ON ALL TABLES IN SCHEMA "{schema}" TO "r{schema}";"""
    )
    reader = open_url(postgres.url_with("x", user=f"r{schema}"))
    owner.commit("notes", "docs", [make_document("a", ["pears"], [[1, 0, 0]])])
    owner.seal("notes", "docs")
    assert search_ids(reader, "pear", [1, 0, 0], "hybrid") == ["a"]
    with pytest.raises(StorageError, match="lacks a right"):
        reader.commit("notes", "docs", [make_document("a", ["plums"], [[1, 0, 0]])])
    with pytest.raises(StorageError, match="lacks a right"):
        reader.open_collection(Collection("other", "a" * 32, 3))
    assert "may make no tables" in reader.describe()
    assert search_ids(owner, "pear", [1, 0, 0], "hybrid") == ["a"]


def test_a_server_that_can_only_be_read_is_searched_and_not_filled(postgres, open_url):
    owner = open_url()
    owner.open_collection(NOTES)
    owner.commit("notes", "docs", [make_document("a", ["pears"], [[1, 0, 0]])])
    store = open_url(postgres.url + "&options=-c%20default_transaction_read_only%3Don")
    assert search_ids(store, "pear", [1, 0, 0], "hybrid") == ["a"]
    with pytest.raises(StorageError, match="only be read"):
        store.commit("notes", "docs", [make_document("a", ["plums"], [[1, 0, 0]])])
    assert "it can only be read" in store.describe()


def test_a_connection_that_was_ended_is_opened_again(postgres, open_url):
    store = open_url()
    store.open_collection(NOTES)
    postgres.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'asyncrun'")
    store.commit("notes", "docs", [make_document("a", ["pears"], [[1, 0, 0]])])
    assert store.marks("notes", "docs") == {"a": "mark"}


def test_a_connection_that_ends_while_rows_are_sent_leaves_nothing(postgres, open_url):
    store = open_url()
    store.open_collection(NOTES)

    class Ending(dict):
        """Metadata that end the connection when they are written: documents before them are on their way."""

        def items(self):
            postgres.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'asyncrun' AND state <> 'idle'")
            return super().items()

    documents = [make_document(str(n), ["x"], [[1, 0, 0]]) for n in range(20)]
    documents.append(make_document("last", ["x"], [[1, 0, 0]], Ending(a=1)))
    with pytest.raises(TryLaterError):
        store.commit("notes", "docs", documents)
    assert store.marks("notes", "docs") == {}
    store.commit("notes", "docs", documents[:-1])
    assert len(store.marks("notes", "docs")) == 20


def test_a_database_without_pgvector_is_given_it_or_told(postgres, open_url):
    from psycopg import errors

    from asyncrun.postgres_faults import meaning, parse_address

    postgres.run("CREATE DATABASE bare")
    postgres.run("CREATE SCHEMA s", database="bare")
    url = postgres.url.replace("/postgres?", "/bare?")
    owner = open_url(url, schema="s")
    assert "no pgvector yet" in owner.describe()
    postgres.run("""CREATE ROLE plain LOGIN PASSWORD 'x'; GRANT CREATE ON DATABASE bare TO plain""")
    postgres.run("GRANT ALL ON SCHEMA s TO plain", database="bare")
    with pytest.raises(StorageError) as caught:
        open_url(postgres.url_with("x", user="plain", database="bare"), schema="s").open_collection(NOTES)
    assert "permission denied to create extension" in str(caught.value)
    owner.open_collection(NOTES)
    assert owner.fingerprint("notes") == NOTES.fingerprint
    address = parse_address(url)
    for error, kind, words in (
        (errors.DiskFull("no space"), StorageError, "disk is full"),
        (errors.UndefinedObject("type"), StorageError, "pgvector"),
        (errors.TooManyConnections("x"), TryLaterError, "no more connections"),
        (errors.AdminShutdown("x"), TryLaterError, "cannot be reached"),
        (errors.LockNotAvailable("x"), TryLaterError, "in the way"),
    ):
        told = meaning(error, address)
        assert isinstance(told, kind)
        assert words in str(told)
    owner.close()


def test_a_server_that_was_killed_is_waited_for(open_url):
    from asyncrun.stores.pgvector import PgVectorStore

    folder = make_folder()
    server = PostgresServer.make(folder)
    store = PgVectorStore(server.url)
    try:
        store.open_collection(NOTES)
        documents = [make_document(str(n), ["x"], [np.eye(3)[n % 3].tolist()]) for n in range(50)]
        store.commit("notes", "docs", documents)
        server.kill()
        with pytest.raises(TryLaterError):
            store.commit("notes", "docs", documents)
        server.start()
        assert len(store.marks("notes", "docs")) == 50
    finally:
        store.close()
        server.stop()
        server.remove()


def not_shown(error: BaseException) -> bool:
    told = f"{error} {getattr(error, 'hint', '')} {error.__cause__} {error.__context__}"
    return not any(piece in told for piece in (PASSWORD, quote(PASSWORD, safe=""), PASSWORD[:5], PASSWORD[-6:]))


def test_what_waits_for_a_lock_ends_when_the_store_is_closed(postgres, open_url):
    import psycopg

    store = open_url()
    store.open_collection(NOTES)
    with psycopg.connect(postgres.url) as other, ThreadPoolExecutor(1) as threads:
        other.execute(f'LOCK TABLE "{open_url.schema}".notes IN ACCESS EXCLUSIVE MODE')
        waiting = threads.submit(store.commit, "notes", "docs", [make_document("a", ["x"], [[1, 0, 0]])])
        while not postgres.run("SELECT 1 FROM pg_locks WHERE NOT granted AND locktype = 'relation'"):
            assert not waiting.done()
        store.close()
        with pytest.raises(TryLaterError):
            waiting.result(timeout=10)
    assert store.marks("notes", "docs") == {}


def test_a_user_with_few_connections_asks_many_questions(postgres, open_url):
    open_url().open_collection(NOTES)
    open_url().commit("notes", "docs", [make_document("a", ["x"], [[1, 0, 0]])])
    postgres.run(f"""CREATE ROLE few LOGIN CONNECTION LIMIT 2; GRANT USAGE ON SCHEMA "{open_url.schema}" TO few;
        GRANT SELECT ON ALL TABLES IN SCHEMA "{open_url.schema}" TO few""")
    few = open_url(postgres.url.replace("asyncrun@", "few@"))
    requests = [SearchRequest("", np.array([1, 0, 0], np.float32))] * 30
    assert [len(hits) for hits in few.search("notes", requests)] == [1] * 30


def test_a_limit_for_statements_ends_questions_and_no_work_that_would_never_be_done(postgres, open_url):
    import psycopg

    schema = open_url.schema
    postgres.run(f"""CREATE ROLE hurried LOGIN SUPERUSER; ALTER ROLE hurried SET statement_timeout = '500ms'; SET search_path = "{schema}";
        CREATE FUNCTION slow() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.6); END $$;""")
    store = open_url(postgres.url.replace("asyncrun@", "hurried@"))
    store.open_collection(NOTES)
    store.commit("notes", "docs", [make_document("a", ["zebra"], [[1, 0, 0]])])
    postgres.run(f"CREATE EVENT TRIGGER slow ON ddl_command_start WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION \"{schema}\".slow()")
    try:
        store.seal("notes", "docs")
    finally:
        postgres.run("DROP EVENT TRIGGER slow")
    with psycopg.connect(postgres.url) as other:
        other.execute(f'LOCK TABLE "{schema}".notes IN ACCESS EXCLUSIVE MODE')
        with pytest.raises(TryLaterError, match="has ended a statement"):
            store.stats("notes")


def test_a_view_of_somebody_is_named_where_it_is_in_the_way(postgres, open_url):
    store = open_url()
    store.open_collection(NOTES)
    postgres.run(f'CREATE VIEW "{open_url.schema}".seen AS SELECT text FROM "{open_url.schema}".notes')
    with pytest.raises(StorageError, match=r"depends on a table.*seen"):
        store.drop("notes")
    assert store.fingerprint("notes") == NOTES.fingerprint
