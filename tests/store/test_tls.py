"""TLS to PostgreSQL, with certificates that are made here: who is let in, and what is said.

The embedded server is built without TLS; Debian's pgbouncer in front of it speaks the same protocol
(SSLRequest, then TLS), and takes no connection without it.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from msgspec import Struct

from locshare.model.errors import LocshareError
from locshare.store.postgres import PostgresStore
from tests.running import LAST_RESORT_S
from tests.store.kit import QUICK, created, database_of, running_store
from tests.store.pooler import needs_pgbouncer, pgbouncer

pytestmark = [
    pytest.mark.store,
    needs_pgbouncer,
    pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed"),
]


def openssl(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def make_certificate(folder: Path, name: str, subject: str) -> None:
    """``name.crt`` and ``name.key``: signed by the authority in the folder, or one itself."""
    key, request, made = (folder / f"{name}.{kind}" for kind in ("key", "csr", "crt"))
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key)
    if name.startswith("authority"):
        openssl(
            *("req", "-x509", "-new", "-key", key, "-days", 2, "-subj", f"/CN={subject}"),
            *("-addext", "basicConstraints=critical,CA:TRUE", "-out", made),
            *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),
        )
        return
    extensions = folder / f"{name}.ext"
    extensions.write_text(f"subjectAltName=DNS:{subject}\nbasicConstraints=critical,CA:FALSE\n")
    openssl("req", "-new", "-key", key, "-subj", f"/CN={subject}", "-out", request)
    openssl(
        *("x509", "-req", "-in", request, "-CA", folder / "authority.crt", "-days", 2),
        *("-CAkey", folder / "authority.key", "-CAcreateserial"),
        *("-extfile", extensions, "-out", made),
    )


class Tls(Struct):
    """Of the server: one port takes any client, the other one those with a certificate only."""

    folder: Path
    port: int
    strict_port: int
    database: str

    def url(self, parameters: str, host: str = "localhost", port: int = 0) -> str:
        place = f"{host}:{port or self.port}/{self.database}"
        return f"postgresql://postgres:secret@{place}?{parameters}"

    @property
    def root(self) -> str:
        return f"sslrootcert={self.folder / 'authority.crt'}"


@pytest.fixture(scope="module")
def certificates() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="locshare-tls-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        for each in ("authority", "authority_of_others"):
            make_certificate(folder, each, each)
        make_certificate(folder, "server", "localhost")
        make_certificate(folder, "postgres", "postgres")  # of a client, the role of that name
        for key in folder.glob("*.key"):
            key.chmod(0o644)  # for the account that pgbouncer runs as; nothing here is secret
        yield folder


@pytest.fixture
def tls(certificates: Path, postgres_url: str) -> Iterator[Tls]:
    settings = {
        "client_tls_cert_file": certificates / "server.crt",
        "client_tls_key_file": certificates / "server.key",
        "client_tls_ca_file": certificates / "authority.crt",
    }
    any_client = {"client_tls_sslmode": "require", **settings}
    with (
        pgbouncer(postgres_url, "session", any_client) as port,
        pgbouncer(
            postgres_url, "session", {**settings, "client_tls_sslmode": "verify-full"}
        ) as strict,
    ):
        yield Tls(certificates, port, strict, database_of(postgres_url))


async def refusal(url: str) -> str:
    with trio.fail_after(LAST_RESORT_S), pytest.raises(LocshareError) as caught:
        await PostgresStore(url, QUICK.__class__(open_s=0)).run()
    text = str(caught.value)
    assert "\n" not in text
    assert ":secret" not in text
    return text


@pytest.mark.parametrize("mode", ["verify-full", "verify-ca", "require", "prefer", "allow"])
async def test_with_the_right_authority_and_name_everything_is_encrypted(
    tls: Tls, mode: str
) -> None:
    async with running_store(tls.url(f"sslmode={mode}&{tls.root}")) as store:
        session = await created(store)
        assert await store.load_session(session.id) is not None


async def test_a_client_certificate_is_shown(tls: Tls) -> None:
    secure = f"sslmode=verify-full&{tls.root}"
    certificate = f"sslcert={tls.folder}/postgres.crt&sslkey={tls.folder}/postgres.key"
    async with running_store(tls.url(f"{secure}&{certificate}", port=tls.strict_port)) as store:
        await store.check()
    assert "Its log may say more" in await refusal(tls.url(secure, port=tls.strict_port))


async def test_another_name_is_refused_by_verify_full_alone(tls: Tls) -> None:
    text = await refusal(tls.url(f"sslmode=verify-full&{tls.root}", host="127.0.0.1"))
    assert "127.0.0.1" in text
    assert "sslrootcert" in text
    async with running_store(tls.url(f"sslmode=verify-ca&{tls.root}", host="127.0.0.1")) as store:
        await store.check()


@pytest.mark.parametrize("mode", ["verify-full", "verify-ca"])
async def test_another_authority_is_refused(tls: Tls, mode: str) -> None:
    stranger = tls.folder / "authority_of_others.crt"
    text = await refusal(tls.url(f"sslmode={mode}&sslrootcert={stranger}"))
    assert "TLS to the database" in text
    assert "certificate verify failed" in text


async def test_verify_full_without_a_root_certificate_asks_the_machine_whom_it_trusts(
    tls: Tls, monkeypatch: pytest.MonkeyPatch
) -> None:
    for parameters in ("sslmode=verify-full", "sslmode=verify-full&sslrootcert=system"):
        assert "certificate verify failed" in await refusal(tls.url(parameters))
        with monkeypatch.context() as patch:
            patch.setenv("SSL_CERT_FILE", str(tls.folder / "authority.crt"))
            async with running_store(tls.url(parameters)) as store:
                await store.check()


async def test_verify_ca_without_a_root_certificate_is_refused_with_what_to_do(
    tls: Tls, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    text = await refusal(tls.url("sslmode=verify-ca"))
    assert "root certificate file" in text
    assert "root.crt" in text


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ("sslmode=verify-full&sslrootcert=/no/such/file", "sslrootcert=/no/such/file"),
        ("sslmode=require&sslcert=/no/such/file", "sslcert=/no/such/file"),
        ("sslmode=require&sslrootcert={folder}/server.key", "TLS"),
        ("sslmode=disable", "SSL required"),
    ],
)
async def test_a_file_that_is_none_or_no_tls_at_all_is_one_sentence(
    tls: Tls, parameters: str, says: str
) -> None:
    assert says in await refusal(tls.url(parameters.format(folder=tls.folder)))
