"""WebSocket clients that others wrote, each in a process of its own that knows nothing of locshare.

Run as a program: ``foreign_client.py LIBRARY JSON``, where JSON has ``url`` and maybe ``protocols``
and ``headers``. Every line on standard input is sent as a text message; the line ``PING`` sends a
protocol ping instead. Every text message, and ``PONG``, is a line on standard output. The first is
``OPEN`` with the subprotocol. ``foreign_client.mjs`` does the same with the clients from npm.
"""

import asyncio
import json
import sys
import threading
from typing import Any

import aiohttp
import websocket
import websockets.asyncio.client
import websockets.sync.client


def say(text: object) -> None:
    """One line."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def websocket_client(url: str, protocols: list[str], headers: dict[str, str]) -> None:
    """PyPI ``websocket-client``, with its callbacks and its own pings."""

    def opened(app: Any) -> None:
        say(f"OPEN {app.sock.subprotocol or ''}")
        threading.Thread(target=pump, daemon=True).start()

    def pump() -> None:
        for line in sys.stdin:
            if line.strip() == "PING":
                app.send(b"there?", websocket.ABNF.OPCODE_PING)
            else:
                app.send(line.rstrip("\n"))
        app.sock.send_close()  # its close() would wait in vain for what its other thread reads

    app: Any = websocket.WebSocketApp(
        url,
        header=headers,
        subprotocols=protocols or None,
        on_open=opened,
        on_message=lambda _, text: say(text),
        on_pong=lambda _, _payload: say("PONG"),
    )
    app.run_forever(ping_interval=30, ping_timeout=10)


def websockets_sync(url: str, protocols: list[Any], headers: dict[str, str]) -> None:
    """PyPI ``websockets``, its threads."""
    with websockets.sync.client.connect(
        url, subprotocols=protocols or None, additional_headers=headers, proxy=None
    ) as socket:
        say(f"OPEN {socket.subprotocol or ''}")

        def pump() -> None:
            for line in sys.stdin:
                if line.strip() == "PING":
                    socket.ping().wait()
                    say("PONG")
                else:
                    socket.send(line.rstrip("\n"))
            socket.close()

        threading.Thread(target=pump, daemon=True).start()
        for text in socket:
            say(text)


async def _lines() -> asyncio.Queue[str | None]:
    loop, lines = asyncio.get_running_loop(), asyncio.Queue[str | None]()

    def read() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(lines.put_nowait, line.rstrip("\n"))
        loop.call_soon_threadsafe(lines.put_nowait, None)

    threading.Thread(target=read, daemon=True).start()
    return lines


async def websockets_asyncio(url: str, protocols: list[Any], headers: dict[str, str]) -> None:
    """PyPI ``websockets``, its asyncio."""
    lines = await _lines()
    async with websockets.asyncio.client.connect(
        url,
        subprotocols=protocols or None,
        additional_headers=headers,
        ping_interval=30,
        proxy=None,
    ) as socket:
        say(f"OPEN {socket.subprotocol or ''}")

        async def pump() -> None:
            while (line := await lines.get()) is not None:
                if line == "PING":
                    await (await socket.ping())
                    say("PONG")
                else:
                    await socket.send(line)
            await socket.close()

        task = asyncio.create_task(pump())
        async for text in socket:
            say(text)
        await task


async def aiohttp_client(url: str, protocols: list[str], headers: dict[str, str]) -> None:
    """PyPI ``aiohttp``, which reports pongs only where it does not answer pings."""
    lines = await _lines()
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(url, protocols=protocols, headers=headers, autoping=False) as socket,
    ):
        say(f"OPEN {socket.protocol or ''}")

        async def pump() -> None:
            while (line := await lines.get()) is not None:
                if line == "PING":
                    await socket.ping()
                else:
                    await socket.send_str(line)
            await socket.close()

        task = asyncio.create_task(pump())
        async for message in socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                say(message.data)
            elif message.type is aiohttp.WSMsgType.PONG:
                say("PONG")
            elif message.type is aiohttp.WSMsgType.PING:
                await socket.pong(message.data)
        await task


def main() -> None:
    """See the module."""
    library, wish = sys.argv[1], {"protocols": [], "headers": {}} | json.loads(sys.argv[2])
    if library == "websocket-client":
        websocket_client(**wish)
    elif library == "websockets-sync":
        websockets_sync(**wish)
    elif library == "websockets-asyncio":
        asyncio.run(websockets_asyncio(**wish))
    elif library == "aiohttp":
        asyncio.run(aiohttp_client(**wish))


if __name__ == "__main__":
    main()
