from __future__ import annotations

import ctypes
import os
import sqlite3
from contextlib import closing, contextmanager, suppress

import pytest
from catalogs import Home, everything, fill, register

from dataguard.catalog.address import database_path, parse_url, sqlite_url
from dataguard.catalog.database import Database
from dataguard.catalog.filesystem import check_local, is_network, kind_of_mount
from dataguard.catalog.schema import create_schema
from dataguard.catalog.tables import FINDING, REVISIONS
from dataguard.catalog.upgrade import migrate, upgrade
from dataguard.errors import (
    CatalogDamagedError,
    ConfigurationError,
    ConflictError,
    NotFoundError,
    PolicyError,
    StoreUnreachableError,
)

MS_RDONLY, MS_REMOUNT, MS_BIND, MNT_DETACH = 1, 32, 4096, 2
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount")
LIBC = ctypes.CDLL(None, use_errno=True)


def mount_or_skip(source, target, kind, flags, data):
    if LIBC.mount(source.encode(), str(target).encode(), kind.encode(), flags, data.encode()):
        pytest.skip(f"cannot mount {kind}: {os.strerror(ctypes.get_errno())}")


@contextmanager
def mounted(source, target, kind="", flags=0, data=""):
    mount_or_skip(source, target, kind, flags, data)
    try:
        yield
    finally:
        LIBC.umount2(str(target).encode(), MNT_DETACH)


def pragma(home, name):
    with closing(Database.open(home.url, create=True)) as database, database.reading() as c:
        (row,) = c.execute(f"PRAGMA {name}", {})
        return next(iter(row.values()))


def test_connections_are_safe(home, catalog):
    register(catalog)
    assert pragma(home, "journal_mode") == "delete"
    assert pragma(home, "synchronous") == 3  # EXTRA
    assert pragma(home, "foreign_keys") == 1
    assert pragma(home, "busy_timeout") == 30_000


def test_error_of_the_driver_is_ours_and_leaves_nothing_open(home):
    home.open().close()
    with closing(Database.open(home.url, create=False)) as database:
        with pytest.raises(CatalogDamagedError, match="syntax error"), database.writing() as c:
            c.execute("nonsense", {})
        with database.reading() as c:  # nothing is left open
            assert c.table_names()


@pytest.mark.parametrize("path", ["/a b/100%41.db", "/x?y=1/c.db", "/ü#:@/c.db"])
def test_any_path_survives_its_url(path):
    assert database_path(sqlite_url(path)) == path


def test_path_that_no_url_can_say_is_refused():
    with pytest.raises(ConfigurationError, match=r"not UTF-8: '/\\udcff'"):
        sqlite_url("/\udcff")


def test_url_is_read_as_sqlalchemy_reads_it():
    from sqlalchemy import make_url

    for url in ("sqlite:////a%20b/c%25%3F.db?timeout=2", "sqlite+pysqlite:////a+b", "sqlite:////"):
        address, theirs = parse_url(url), make_url(url)
        assert address.path == theirs.database
        assert address.timeout_s == float(theirs.query.get("timeout", 30))


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "postgresql://host/db",
        "postgresql+psycopg://me:pw@host:1/db?x=y",
        "sqlite://",
        "sqlite:///rel",
        "sqlite://host//c.db",
        "sqlite:////c.db?timeout=soon",
        "sqlite:////c.db?timeout=-1",
        "sqlite:////c.db?timeout=nan",
        "sqlite:////c.db?timeout=1e9",
        "sqlite:////c.db?timeout=",
        "sqlite:////c.db?mode=ro",
    ],
)
def test_url_that_names_no_database_file_is_a_configuration_error(url):
    with pytest.raises(ConfigurationError):
        database_path(url)


def test_missing_catalog_is_made_only_if_asked(home):
    with pytest.raises(NotFoundError):
        home.open(create=False)
    assert os.listdir(home.path) == []


def test_missing_folder_is_unreachable(tmp_path):
    with pytest.raises(StoreUnreachableError, match="No such file"):
        Database.open(sqlite_url(str(tmp_path / "none" / "c.db")), create=True)


def test_file_that_is_no_database_is_damage(home):
    with open(home.database, "wb") as file:
        file.write(b"hello" * 1000)
    with pytest.raises(CatalogDamagedError, match="not a database"):
        home.open()


def test_database_that_is_no_catalog_is_damage(home):
    with closing(sqlite3.connect(home.database)) as other:
        other.execute("CREATE TABLE t (x)")
    with pytest.raises(CatalogDamagedError):
        home.open()


def test_empty_file_left_by_a_crash_becomes_a_catalog(home):
    open(home.database, "wb").close()
    with pytest.raises(NotFoundError):
        home.open(create=False)
    with closing(home.open()) as catalog:
        assert catalog.datasets() == ()


def test_database_locked_for_too_long_is_a_conflict(home, catalog):
    register(catalog)
    with closing(sqlite3.connect(home.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with closing(home.open(url=home.url + "?timeout=0.1")) as late:
            assert len(late.versions()) == 1
            with pytest.raises(ConflictError, match="locked"):
                register(late, "b")


def test_newer_schema_is_refused(home, catalog):
    with closing(sqlite3.connect(home.database)) as other, other:
        other.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(CatalogDamagedError, match="9999"):
        home.open()
    with pytest.raises(CatalogDamagedError, match="9999"):
        upgrade(home.url)
    with pytest.raises(CatalogDamagedError), catalog.transaction():
        pass


def test_older_schema_is_refused_until_upgraded(home, monkeypatch):
    home.open().close()
    monkeypatch.setattr("dataguard.catalog.schema.REVISIONS", (*REVISIONS, "9998"))
    with pytest.raises(ConflictError, match="older schema") as caught:
        home.open()
    assert "dataguard catalog upgrade" in str(caught.value.hint)


def test_upgrade_of_the_newest_schema_changes_nothing(home, catalog):
    assert upgrade(home.url) == (REVISIONS[-1], REVISIONS[-1])
    assert catalog.datasets() == ()


def schema_of(database):
    with database.reading() as connection:
        query = "SELECT type, name, tbl_name, sql FROM sqlite_master"
        return {tuple(row.values()) for row in connection.execute(query, {})}


def test_migrations_make_the_schema_of_a_new_catalog():
    migrated, made = Database.in_memory(), Database.in_memory()
    migrate(migrated)
    with made.writing() as connection:
        create_schema(connection)
    assert schema_of(made) == schema_of(migrated)
    migrated.close()
    made.close()


def failing(statement):
    def upgrade_and_fail(config, *_):
        connection = config.attributes["connection"]
        connection.exec_driver_sql("CREATE TABLE half (x)")
        connection.exec_driver_sql(statement)

    return upgrade_and_fail


@pytest.mark.parametrize("statement", ["CREATE TABLE half (x)", "nonsense"])
def test_migration_that_fails_leaves_the_schema_before(home, catalog, monkeypatch, statement):
    fill(catalog)
    before = everything(catalog)
    monkeypatch.setattr("alembic.command.upgrade", failing(statement))
    with closing(Database.open(home.url, create=False)) as database:
        schema = schema_of(database)
        with pytest.raises(CatalogDamagedError, match="cannot write the catalog"):
            migrate(database)
        assert schema_of(database) == schema
    assert everything(catalog) == before


def test_migrations_keep_every_writer_out_from_the_first_to_the_last(home, catalog, monkeypatch):
    register(catalog)

    def look(config, *_):
        config.attributes["connection"].exec_driver_sql("CREATE TABLE half (x)")
        with closing(home.open(url=home.url + "?timeout=0.1")) as late:
            assert len(late.versions()) == 1
            with pytest.raises(ConflictError, match="locked"):
                register(late, "b")

    monkeypatch.setattr("alembic.command.upgrade", look)
    with closing(Database.open(home.url, create=False)) as database:
        migrate(database)
        assert ("table", "half") in {row[:2] for row in schema_of(database)}


def test_known_revisions_are_the_migrations():
    folder = os.path.join(os.path.dirname(create_schema.__code__.co_filename), "migrations")
    names = sorted(os.listdir(os.path.join(folder, "versions")))
    assert [name[:4] for name in names if name.endswith(".py")] == list(REVISIONS)


def test_paths_are_kept_as_bytes(home, catalog):
    fill(catalog)
    with closing(sqlite3.connect(home.database)) as other:
        found = other.execute(f"SELECT path FROM {FINDING.name}").fetchall()
    assert sorted(found) == [(b"b",), (b"\xff\n",)]


def test_error_inside_a_transaction_leaves_the_state_before(home, catalog):
    fill(catalog)
    before = everything(catalog)
    with pytest.raises(NotFoundError), catalog.transaction() as t:
        t.move_tag("faces", "x", t.move_tag("faces", "y", 1).version + 98)
    assert everything(catalog) == before
    assert len(home.lines()) == len(before[-1])


def test_policy_is_asked_before_each_change(home):
    asked = []

    def allow(change):
        asked.append((str(change.kind), change.dataset))
        if change.kind == "tag.moved":
            raise PolicyError("no tags here")

    with closing(home.open(allow=allow)) as catalog:
        register(catalog)
        with pytest.raises(PolicyError), catalog.transaction() as t:
            t.move_tag("faces", "prod", 1)
        assert catalog.tags("faces") == ()
    assert asked == [("version.registered", "faces"), ("tag.moved", "faces")]


@needs_root
def test_catalog_in_a_read_only_folder_can_be_read(home, catalog):
    fill(catalog)
    expected = everything(catalog)
    with mounted(home.path, home.path, flags=MS_BIND):
        mount_or_skip("", home.path, "", MS_REMOUNT | MS_BIND | MS_RDONLY, "")
        with closing(home.open()) as reader:
            assert everything(reader) == expected
            with pytest.raises(StoreUnreachableError):
                register(reader, "z")


@needs_root
def test_unfinished_log_in_a_read_only_folder_is_left_as_it_is(home, catalog):
    fill(catalog)
    segment = os.path.join(home.events, "000000000001.jsonl")
    os.truncate(segment, os.path.getsize(segment) - 10)
    with mounted(home.path, home.path, flags=MS_BIND):
        mount_or_skip("", home.path, "", MS_REMOUNT | MS_BIND | MS_RDONLY, "")
        with closing(home.open()) as reader:
            assert len(reader.versions()) == 3
    with closing(home.open()) as writer:
        assert len(home.lines()) == len(list(writer.events()))


def use_up_the_disk(path):
    with open(path, "wb", buffering=0) as filler, suppress(OSError):
        while filler.write(b"x" * 4096):
            pass


@needs_root
def test_full_disk_stops_writing_but_not_reading(tmp_path):
    with mounted("tmpfs", tmp_path, kind="tmpfs", data="size=1m"):
        home = Home(str(tmp_path / "home"))
        with closing(home.open()) as catalog:
            fill(catalog)
            expected = everything(catalog)
            use_up_the_disk(tmp_path / "filler")
            with pytest.raises(StoreUnreachableError):
                register(catalog, "z" * 10, note="n" * 100_000, place="/z")
            assert everything(catalog) == expected
        os.unlink(tmp_path / "filler")
        with closing(home.open()) as catalog:
            assert everything(catalog)[:-1] == expected[:-1]


@pytest.mark.parametrize(
    ("kind", "network"),
    [
        ("ext4", False),
        ("tmpfs", False),
        ("overlay", False),
        ("fuseblk", False),
        ("nfs4", True),
        ("lustre", True),
        ("fuse.sshfs", True),
        ("9p", True),
    ],
)
def test_network_file_systems_are_known(kind, network):
    assert is_network(kind) is network


def test_file_system_of_a_mount_is_found_by_its_id():
    text = (
        "28 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n"
        "31 28 0:40 / /mnt/a\\040b rw shared:2 master:1 - nfs4 host:/x rw\n"
    )
    assert kind_of_mount(text, "31") == "nfs4"
    assert kind_of_mount(text, "3") == ""


def test_local_folder_passes(tmp_path):
    check_local(str(tmp_path))


@needs_root
def test_folder_on_a_user_space_file_system_is_refused_without_asking_its_server(tmp_path):
    try:
        server = os.open("/dev/fuse", os.O_RDWR)
    except OSError as err:
        pytest.skip(f"cannot open /dev/fuse: {err.strerror}")
    options = f"fd={server},rootmode=40000,user_id=0,group_id=0"
    try:
        with mounted("silent", tmp_path, kind="fuse.silent", data=options):
            with pytest.raises(ConfigurationError, match=r"fuse\.silent") as caught:
                Database.open(sqlite_url(str(tmp_path / "catalog.db")), create=True)
            assert "PostgreSQL" in str(caught.value.hint)
    finally:
        os.close(server)
