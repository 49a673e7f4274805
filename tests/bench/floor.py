"""The floor: a bare aiohttp handler that reads a request and returns bytes that are always the same.

    floor.py PORT FILE

FILE is JSON: the headers of the answer, and its body in base64.
"""

import asyncio
import json
import sys
from base64 import b64decode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import uvloop
from aiohttp import web


async def _serve(port: int, document: Mapping[str, Any]) -> None:
    headers, body = document["headers"], b64decode(document["body"])

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(body=body, headers=headers)

    app = web.Application()
    app.router.add_route("*", document["path"], answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1]), json.loads(Path(sys.argv[2]).read_bytes())))
