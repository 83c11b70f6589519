"""Backups: whole or refused, consistent, restored into an empty database only; and upgrades."""

import asyncio
import gzip
import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from locshare.cli import main as cli
from locshare.maintenance.backup.format import BackupError, BackupFile, Header, Writer
from locshare.maintenance.backup.new_file import new_file
from locshare.store.embedded import MAJOR, EmbeddedPostgres
from locshare.store.embedded.binaries import Release, older
from locshare.store.embedded.cluster import UPGRADED
from locshare.store.migrate import bundled, migrate
from tests.postgres import FAST, Server
from tests.program import data_directory, running_program
from tests.store.pooler import needs_pgbouncer, pgbouncer

pytestmark = pytest.mark.store

SESSION = "6f1c9d0e-8f0e-4a5b-9f57-0d7a4f0b3c11"
OLD_MAJOR = 16
"""The package of the embedded PostgreSQL has its binaries too."""


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [each for each in os.environ if each.startswith("LOCSHARE_")]:
        monkeypatch.delenv(name)


def fill(server: Server, database: str, people: int = 3, *, session: str = SESSION) -> None:
    server.execute(
        f"""
        INSERT INTO sessions (id, name, expires_at, creator_id)
        VALUES ('{session}', 'Älps "☃"', now() + interval '2 hours', gen_random_uuid());
        INSERT INTO participants (id, session_id, user_id, display_name)
        SELECT gen_random_uuid(), '{session}', 'user' || n, E'Ada\\n' || n
        FROM generate_series(1, {people}) AS n
        """,  # noqa: S608 - our own values
        database,
    )


def contents(server: Server, database: str) -> str:
    return "\n".join(
        server.execute(f"SELECT to_jsonb(one) FROM {table} AS one ORDER BY id", database)  # noqa: S608
        for table in ("sessions", "participants")
    )


@pytest.fixture
def filled(postgres_server: Server) -> Iterator[str]:
    name = postgres_server.create_database()
    fill(postgres_server, name)
    yield name
    postgres_server.drop_database(name)


@pytest.fixture
def empty(postgres_server: Server) -> Iterator[str]:
    name = postgres_server.create_database(template=None)
    yield name
    postgres_server.drop_database(name)


def run(*words: str) -> int:
    return cli.main([str(word) for word in words])


def backed_up(server: Server, database: str, file: Path, *more: str) -> None:
    assert run("backup", str(file), "--database-url", server.url(database), *more) == 0


# --- the file -----------------------------------------------------------------------------------


def test_a_backup_is_restored_to_the_same_rows(
    postgres_server: Server, filled: str, empty: str, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    file = tmp_path / "b"
    backed_up(postgres_server, filled, file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "1 sessions, 3 participants" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [file]
    assert run("restore", str(file), "--database-url", postgres_server.url(empty)) == 0
    assert contents(postgres_server, empty) == contents(postgres_server, filled)
    assert "☃" in contents(postgres_server, empty)


def test_a_schema_of_its_own_is_backed_up_and_made_by_a_restore(
    postgres_server: Server, filled: str, empty: str, tmp_path: Path
) -> None:
    file = tmp_path / "b"
    backed_up(postgres_server, filled, file)
    url = ["--database-url", postgres_server.url(empty), "--database-schema", "locshare"]
    assert run("restore", str(file), *url) == 0
    assert postgres_server.execute("SELECT count(*) FROM locshare.participants", empty) == "3"
    assert run("backup", str(tmp_path / "again"), *url) == 0
    assert BackupFile(tmp_path / "again").rows == BackupFile(file).rows


def test_an_existing_file_is_not_overwritten(
    postgres_server: Server, filled: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "b"
    file.write_text("precious")
    assert run("backup", str(file), "--database-url", postgres_server.url(filled)) == 1
    assert "is not overwritten" in capsys.readouterr().err
    assert file.read_text() == "precious"


def test_a_file_that_cannot_be_made_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="exists"), new_file(tmp_path / "b"):
        (tmp_path / "b").write_text("somebody was faster")
    with pytest.raises(BackupError, match="cannot be written"), new_file(tmp_path / "no" / "b"):
        pass


def test_standard_output_takes_a_backup_too(
    postgres_server: Server, filled: str, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "locshare", "backup", "-",
         "--database-url", postgres_server.url(filled)],
        capture_output=True, check=True,
    )  # fmt: skip
    (tmp_path / "b").write_bytes(done.stdout)
    assert BackupFile(tmp_path / "b").rows == {"sessions": 1, "participants": 3}


def written(path: Path, *rows: tuple[str, dict[str, Any]], **header: Any) -> Path:
    """A backup made by hand."""
    migrations = {each.version: each.checksum for each in bundled()}
    values: Any = {"program": "0", "made_at": datetime.now(UTC), "migrations": migrations} | header
    with path.open("wb") as file:
        writer = Writer(file, Header(**values))
        for table, row in rows:
            writer.row(table, json.dumps(row))
        writer.end()
    return path


def test_a_broken_backup_is_refused_wherever_it_is_broken(tmp_path: Path) -> None:
    file = written(tmp_path / "b", ("sessions", {"id": 1}), ("participants", {"id": 2}))
    whole = file.read_bytes()
    text = gzip.decompress(whole)
    broken = [whole[:cut] for cut in range(0, len(whole) - 1, 7)]
    broken += [
        gzip.compress(text.replace(b'"id": 2', b'"id": 3')),
        gzip.compress(text.replace(b"locshare-backup", b"another-backup!")),
        gzip.compress(text.rsplit(b"\n", 2)[0] + b"\n"),
        gzip.compress(text.replace(b'{"rows"', b'{"wors"')),
        b"no gzip",
        gzip.compress(b"[" * 100_000),
        gzip.compress(text.split(b"\n")[0] + b'\n["sessions",' + b"[" * 500_000 + b"\n"),
        b"",
    ]
    for data in broken:
        file.write_bytes(data)
        with pytest.raises(BackupError, match="no backup, or a broken one"):
            BackupFile(file)
    file.write_bytes(whole)
    assert BackupFile(file).rows == {"sessions": 1, "participants": 1}
    with pytest.raises(BackupError, match="there is no file"):
        BackupFile(tmp_path / "missing")


@pytest.mark.parametrize(
    "header",
    [{"program": "\x1b[2J"}, {"program": "9" * 65}, {"key": ""}, {"key": "k" * 31},
     {"key": "k" * 32 + "\n"}, {"key": "ä" * 32}],
)  # fmt: skip
def test_what_a_strangers_file_says_gets_neither_to_the_terminal_nor_into_the_key(
    header: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path / "b", **header)
    assert run("restore", str(file), "--data-dir", str(tmp_path / "data")) == 1
    said = capsys.readouterr()
    assert "no backup, or a broken one" in said.err
    assert "\x1b" not in said.err + said.out
    assert not (tmp_path / "data").exists()


def test_a_directory_in_the_place_of_a_backup_is_said_to_be_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("restore", "--check", str(tmp_path)) == 1
    assert "Is a directory" in capsys.readouterr().err


@pytest.mark.parametrize("output", ["/dev/full", "&-"])
def test_output_that_takes_no_backup_is_a_failure_and_not_the_databases(
    output: str, postgres_server: Server, filled: str
) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", f'"$0" -m locshare backup - --database-url "$1" >{output}',
         sys.executable, postgres_server.url(filled)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "the backup cannot be written" in done.stderr
    assert "database" not in done.stderr


def test_a_line_of_the_log_gets_into_no_result() -> None:
    logging = "import structlog; structlog.get_logger().warning('something_to_say')"
    code = (
        "import sys; from locshare.cli import backup, main;"
        f"backup.run = lambda _: exec({logging!r});"
        "sys.argv[1:] = ['backup', '-']; main.main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert "something_to_say" in done.stderr


def test_a_format_of_the_future_names_the_version_that_wrote_it(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match=r"made by locshare 9\.9"):
        BackupFile(written(tmp_path / "b", version=2, program="9.9"))


# --- restoring ----------------------------------------------------------------------------------


def test_a_database_with_rows_is_refused_and_left_as_it_is(
    postgres_server: Server, filled: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "b"
    backed_up(postgres_server, filled, file)
    before = contents(postgres_server, filled)
    assert run("restore", str(file), "--database-url", postgres_server.url(filled)) == 1
    assert "has rows in sessions already" in capsys.readouterr().err
    assert contents(postgres_server, filled) == before


def test_rows_and_key_are_restored_both_or_not_at_all(
    postgres_server: Server, empty: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path / "b", key="k" * 32)
    where = ["--database-url", postgres_server.url(empty), "--data-dir", str(tmp_path)]
    (tmp_path / "jwt_secret").mkdir()
    assert run("restore", str(file), *where) == 1
    assert "jwt_secret is not a regular file" in capsys.readouterr().err
    assert postgres_server.execute("SELECT count(*) FROM sessions", empty) == "0"
    (tmp_path / "jwt_secret").rmdir()
    for _ in range(2):  # again, as after it was killed before the rows counted
        assert run("restore", str(file), *where) == 0
        assert f"the signing key is in {tmp_path / 'jwt_secret'}" in capsys.readouterr().out
    assert (tmp_path / "jwt_secret").read_text() == "k" * 32 + "\n"


def test_a_row_that_does_not_fit_leaves_no_row(
    postgres_server: Server, empty: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = {
        "id": SESSION, "name": "x", "created_at": "2026-01-01T00:00:00Z", "is_active": True,
        "expires_at": "2026-01-02T00:00:00Z", "creator_id": SESSION, "locked": False,
        "last_activity": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    orphan = {"id": SESSION, "session_id": "00000000-0000-0000-0000-000000000000"}
    file = written(tmp_path / "b", ("sessions", row), ("participants", orphan))
    assert run("restore", str(file), "--database-url", postgres_server.url(empty)) == 1
    assert "does not fit" in capsys.readouterr().err
    assert postgres_server.execute("SELECT count(*) FROM sessions", empty) == "0"


@pytest.mark.parametrize(
    ("migrations", "says"),
    [({9999: "x"}, "newer locshare"), ({1: "edited"}, "not the one")],
)
def test_a_backup_of_other_tables_is_refused(
    postgres_server: Server, empty: str, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    migrations: dict[int, str], says: str,
) -> None:  # fmt: skip
    file = written(tmp_path / "b", migrations=migrations)
    assert run("restore", str(file), "--database-url", postgres_server.url(empty)) == 1
    assert says in capsys.readouterr().err


def test_a_backup_of_older_tables_goes_through_the_changes_since(
    postgres_server: Server, empty: str, tmp_path: Path
) -> None:
    """The second migration deletes participants who are not active: of a restored row too."""
    old = bundled()[:1]

    async def make() -> None:
        connection = await asyncpg.connect(postgres_server.url(empty))
        await migrate(connection, old)
        await connection.close()

    asyncio.run(make())
    fill(postgres_server, empty)
    postgres_server.execute("UPDATE participants SET is_active = user_id = 'user1'", empty)
    file = tmp_path / "b"
    backed_up(postgres_server, empty, file)
    assert set(BackupFile(file).header.migrations) == {1}
    target = postgres_server.create_database(template=None)
    try:
        assert run("restore", str(file), "--database-url", postgres_server.url(target)) == 0
        found = postgres_server.execute("SELECT user_id, role FROM participants", target)
        assert found == "user1|participant"
    finally:
        postgres_server.drop_database(target)


def test_a_database_of_newer_tables_than_the_backup_is_refused(
    postgres_server: Server, filled: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = bundled()[0]
    file = written(tmp_path / "b", migrations={1: first.checksum})
    assert run("restore", str(file), "--database-url", postgres_server.url(filled)) == 1
    assert "Restore into an empty one" in capsys.readouterr().err


def test_what_is_no_database_of_ours_has_nothing_to_back_up(
    postgres_server: Server, empty: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("backup", str(tmp_path / "b"), "--database-url", postgres_server.url(empty)) == 1
    assert run("backup", str(tmp_path / "b"), "--data-dir", str(tmp_path / "none")) == 1
    dead = "postgresql://postgres@127.0.0.1:9/x"
    assert run("backup", str(tmp_path / "b"), "--database-url", dead) == 1
    errors = capsys.readouterr().err
    assert errors.count("nothing to back up") == 2
    assert "nothing listens" in errors
    assert list(tmp_path.iterdir()) == []


@needs_pgbouncer
def test_a_backup_goes_through_a_pooler_both_ways(
    postgres_server: Server, filled: str, empty: str, tmp_path: Path
) -> None:
    with pgbouncer(postgres_server.url(filled), "transaction") as port:
        url = f"postgresql://postgres@127.0.0.1:{port}/{filled}"
        assert run("backup", str(tmp_path / "b"), "--database-url", url) == 0
    with pgbouncer(postgres_server.url(empty), "transaction") as port:
        url = f"postgresql://postgres@127.0.0.1:{port}/{empty}"
        assert run("restore", str(tmp_path / "b"), "--database-url", url) == 0
    assert contents(postgres_server, empty) == contents(postgres_server, filled)


# --- with the embedded server -------------------------------------------------------------------


def test_a_running_server_is_backed_up_and_its_sessions_live_on_elsewhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "b"
    with data_directory() as old, data_directory() as new:
        with running_program({"LOCSHARE_DATA_DIR": str(old)}) as program:
            made = httpx.post(f"{program.http_url}/api/sessions", json={"name": "Alps"}).json()
            about = f"/api/sessions/{made['session_id']}"
            httpx.post(f"{program.http_url}{about}/join", json={"display_name": "Ada"})
            assert run("backup", str(file), "--with-key", "--data-dir", str(old)) == 0
            assert run("restore", str(file), "--data-dir", str(old)) == 1
            assert "Stop it" in capsys.readouterr().err
        assert run("restore", str(file), "--data-dir", str(new)) == 0
        assert "the signing key is in" in capsys.readouterr().out
        with running_program({"LOCSHARE_DATA_DIR": str(new)}) as program:
            people = httpx.get(f"{program.http_url}{about}/participants").json()["participants"]
            assert [each["display_name"] for each in people] == ["Ada"]
            host = {"Authorization": f"Bearer {made['host_token']}"}
            assert httpx.delete(f"{program.http_url}{about}", headers=host).status_code == 200


@pytest.fixture(scope="module")
def old_release() -> Release:
    found = older(OLD_MAJOR)
    assert found is not None
    return found


@pytest.fixture
def old_data(made_by_the_old: Path) -> Iterator[Path]:
    """A data directory that an older version has made, with one session."""
    with data_directory() as folder:
        for each in ("postgres", "postgres.log"):
            subprocess.run(["cp", "-a", made_by_the_old / each, folder], check=True)
        yield folder


@pytest.fixture(scope="module")
def made_by_the_old(old_release: Release) -> Iterator[Path]:
    with data_directory() as folder:
        server = Server(folder)
        server._embedded = EmbeddedPostgres(folder, FAST, old_release)
        server.start()

        async def make() -> None:
            connection = await asyncpg.connect(server.url())
            await migrate(connection)
            await connection.close()

        asyncio.run(make())
        fill(server, "postgres")
        server.stop()
        yield folder


def people_in(data_dir: Path) -> str:
    server = Server(data_dir)
    server.start()
    try:
        return server.execute("SELECT count(*) FROM participants")
    finally:
        server.stop()


def test_an_older_major_version_is_taken_over_and_kept_aside(
    old_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("backup", str(old_data / "b"), "--data-dir", str(old_data)) == 1
    assert "locshare db upgrade" in capsys.readouterr().err
    assert run("db", "upgrade", "--data-dir", str(old_data)) == 0
    assert f"is of PostgreSQL {MAJOR} now" in capsys.readouterr().out
    assert (old_data / "postgres" / "PG_VERSION").read_text().strip() == str(MAJOR)
    assert people_in(old_data) == "3"
    (aside,) = old_data.glob(f"postgres-{OLD_MAJOR}-*")
    assert (aside / "PG_VERSION").read_text().strip() == str(OLD_MAJOR)
    (file,) = old_data.glob("before-upgrade-*")
    assert BackupFile(file).rows == {"sessions": 1, "participants": 3}
    assert run("db", "upgrade", "--data-dir", str(old_data)) == 0
    assert "nothing to do" in capsys.readouterr().out


def test_an_upgrade_that_was_killed_between_its_renames_is_ended(
    old_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (old_data / UPGRADED).mkdir()  # of an earlier try: made again
    assert run("db", "upgrade", "--data-dir", str(old_data)) == 0
    (old_data / "postgres").rename(old_data / UPGRADED)
    assert run("restore", str(next(old_data.glob("before-*"))), "--data-dir", str(old_data)) == 1
    assert "was interrupted" in capsys.readouterr().err
    assert run("db", "upgrade", "--data-dir", str(old_data)) == 0
    assert people_in(old_data) == "3"


def test_without_the_old_binaries_it_says_how_to_get_them_and_does_nothing(
    old_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(each.name for each in old_data.iterdir())
    flags = ["--data-dir", str(old_data), "--old-binaries", str(tmp_path)]
    assert run("db", "upgrade", *flags) == 1
    assert f"apt install postgresql-{OLD_MAJOR}" in capsys.readouterr().err
    assert sorted(each.name for each in old_data.iterdir()) == before


@pytest.mark.parametrize(
    ("version", "says"), [("99", "is newer than the installed"), (None, "no database is in")]
)
def test_what_cannot_be_upgraded_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], version: str | None, says: str
) -> None:
    if version is not None:
        (tmp_path / "postgres").mkdir()
        (tmp_path / "postgres" / "PG_VERSION").write_text(version)
    assert run("db", "upgrade", "--data-dir", str(tmp_path)) == 1
    assert says in capsys.readouterr().err
    url = "postgresql://db/x"
    assert run("db", "upgrade", "--data-dir", str(tmp_path), "--database-url", url) == 1
    assert "by whoever runs it" in capsys.readouterr().err
    shutil.rmtree(tmp_path / "postgres", ignore_errors=True)
