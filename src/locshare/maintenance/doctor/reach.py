"""The public address, asked from this machine as a client would: name, TCP, TLS, HTTP."""

import socket
import ssl
import time
from typing import Final
from urllib.parse import urlsplit

import httpx
import msgspec
import trio
from msgspec import Struct

from locshare.maintenance.doctor.findings import Finding, error, ok, skipped, warning

CONNECT_S: Final = 8.0
SOON_DAYS: Final = 14
"""A certificate of 90 days is usually renewed 30 days before its end."""
_HAIRPIN: Final = (
    "Some routers do not lead a public address back inside: then ask from elsewhere, or let this"
    " machine resolve the name to its own address (/etc/hosts)"
)


class Tls(Struct, frozen=True):
    """What a handshake showed. ``refusal`` is why a client does not accept it."""

    version: str = ""
    days_left: float | None = None
    refusal: str = ""


def judge_tls(tls: Tls, host: str) -> Finding:
    check = "tls"
    if tls.refusal:
        do = (
            f"Give the proxy a certificate for {host} with its whole chain, from Let's Encrypt for"
            " instance; for an authority of your own set SSL_CERT_FILE"
        )
        return error(check, f"browsers refuse the certificate: {tls.refusal}", do)
    if tls.days_left is None:
        return ok(check, f"{tls.version}, and the certificate is accepted")
    text = f"{tls.version}, and the certificate is valid for {tls.days_left:.0f} days more"
    if tls.days_left < SOON_DAYS:
        return warning(check, text, "Renew it, and see why that does not happen unasked")
    return ok(check, text)


def judge_public_url(url: str, *, given: bool) -> Finding | None:
    """What its form says; None when there is nothing to say."""
    parts = urlsplit(url)
    here = parts.hostname in ("localhost", "127.0.0.1", "::1")
    if parts.scheme == "https" or (given and here):
        return None
    if here:
        do = "For others set LOCSHARE_PUBLIC_URL to the address that a proxy with TLS serves"
        return warning("public", f"only this machine can open {url}", do)
    do = "Put a proxy with TLS in front, and set LOCSHARE_PUBLIC_URL=https://…"
    text = f"{url} is without TLS: browsers let nobody share a position there"
    return warning("public", text, do)


def judge_answer(url: str, status: int, content_type: str, body: bytes) -> Finding:
    """The answer to a question about a session that there is not: ours is a problem with a code."""
    check = "public"
    try:
        code = msgspec.json.decode(body, type=dict).get("code")
    except (msgspec.DecodeError, UnicodeDecodeError):
        code = None
    if status in (404, 429) and code in ("SESSION_NOT_FOUND", "RATE_LIMITED"):
        return ok(check, f"{url} is answered by a locshare")
    if code is not None and content_type.startswith("application/problem"):
        return error(check, f"{url} answers {status} {code}", "The server's log says more")
    if status in (502, 503, 504):
        do = "Start the server, and see that the proxy passes to the address of LOCSHARE_BIND"
        return error(check, f"{url} answers {status}: the proxy does not reach the server", do)
    if status in (301, 302, 307, 308):
        do = "Set LOCSHARE_PUBLIC_URL to where it leads, or let the proxy serve that address"
        return error(check, f"{url} answers {status}: it leads elsewhere", do)
    if status in (401, 403):
        do = "Take the proxy's login or rule off this address: people join by a link alone"
        return error(check, f"{url} answers {status}: the proxy keeps people out", do)
    do = "See that the name leads to this machine, and the proxy passes all paths to the server"
    return error(check, f"{url} answers {status}, and it is no locshare that does", do)


class Unreached(Exception):
    """``finding`` says why nothing further can be asked."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.text)
        self.finding = finding


async def connect(host: str, port: int) -> None:
    """Resolve and connect, and hang up. Raises Unreached."""
    try:
        with trio.fail_after(CONNECT_S):
            async with await trio.open_tcp_stream(host, port):
                return
    except trio.TooSlowError:
        why, do = f"{host}:{port} does not answer in {CONNECT_S:.0f} s", _HAIRPIN
    except socket.gaierror as failure:
        why = f"the name {host} cannot be resolved: {failure.strerror}"
        do = "Correct LOCSHARE_PUBLIC_URL, or its entry in DNS"
    except (OSError, UnicodeError) as failure:
        reason = failure.strerror if isinstance(failure, OSError) else None
        why = f"{host}:{port} cannot be reached: {reason or 'nothing listens there'}"
        do = f"Start the proxy (or the server), or correct LOCSHARE_PUBLIC_URL. {_HAIRPIN}"
    raise Unreached(error("public", why, do))


async def handshake(host: str, port: int, trust: ssl.SSLContext) -> Tls:
    """Speak TLS once. Raises Unreached when what listens does not."""
    try:
        with trio.fail_after(CONNECT_S):
            stream = await trio.open_tcp_stream(host, port)
            async with trio.SSLStream(
                stream, trust, server_hostname=host, https_compatible=True
            ) as encrypted:
                await encrypted.do_handshake()
                certificate = encrypted.getpeercert()
                version = encrypted.version()
    except (trio.BrokenResourceError, OSError, trio.TooSlowError) as failure:
        cause = failure.__cause__
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Tls(refusal=cause.verify_message or "it is not valid")
        reason = cause.reason if isinstance(cause, ssl.SSLError) and cause.reason else "no TLS"
        text = f"{host}:{port} does not speak TLS ({str(reason).lower().replace('_', ' ')})"
        do = "Let the proxy end TLS there, or begin LOCSHARE_PUBLIC_URL with http://"
        raise Unreached(error("tls", text, do)) from None
    ends = certificate.get("notAfter") if certificate else None
    left = None if ends is None else (ssl.cert_time_to_seconds(str(ends)) - time.time()) / 86_400
    return Tls(version or "TLS", left)


class Answer(Struct, frozen=True):
    """``own_port`` is that of our socket, None when it is unknown."""

    status: int
    content_type: str
    body: bytes
    own_port: int | None


async def ask(http: httpx.AsyncClient, method: str, url: str, **options: object) -> Answer:
    """One request, of which at most 64 KiB are read. Raises Unreached."""
    try:
        with trio.fail_after(CONNECT_S):
            async with http.stream(method, url, **options) as response:  # type: ignore[arg-type]
                body = b""
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > 65_536:
                        break
                stream = response.extensions.get("network_stream")
                address = None if stream is None else stream.get_extra_info("client_addr")
                return Answer(
                    response.status_code,
                    response.headers.get("content-type", ""),
                    body,
                    address[1] if address else None,
                )
    except (httpx.HTTPError, trio.TooSlowError) as failure:
        do = "Look at the proxy's log"
        text = f"{urlsplit(url).netloc} takes a connection and does not answer"
        raise Unreached(error("public", f"{text} ({type(failure).__name__})", do)) from None


def unseen(why: str) -> Finding:
    """The finding where nobody can say what arrived."""
    return skipped("proxy", f"what arrives at the server cannot be seen: {why}")
