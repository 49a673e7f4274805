"""An answer that is sent, in the usual case, with as little as possible."""

import time
from email.utils import formatdate

from aiohttp import HttpVersion11, hdrs, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import SERVER_SOFTWARE


class Reply(web.Response):
    """A response with a body, sent as `web.Response` sends it, byte for byte, for half the work.

    To HEAD, to HTTP/1.0 and on a connection that will be closed it is sent by `web.Response` itself.
    """

    _request: web.BaseRequest | None = None

    @property
    def keep_alive(self) -> bool | None:
        """See `web.StreamResponse.keep_alive`."""
        return True if self._request is not None else super().keep_alive

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """See `web.StreamResponse.prepare`."""
        is_usual = request.version == HttpVersion11 and request.keep_alive and request.method != hdrs.METH_HEAD
        if not (is_usual and isinstance(self.body, bytes) and self.body):
            return await super().prepare(request)
        self._request = request
        return request.writer

    async def write_eof(self, data: bytes = b"") -> None:
        """See `web.StreamResponse.write_eof`."""
        if self._request is None:
            await super().write_eof(data)
            return
        body, headers = self.body, self.headers
        assert isinstance(body, bytes)
        lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        if not lines.count("\r") == lines.count("\n") == len(headers):
            raise ValueError("a header has a line break in it")
        status = f"HTTP/1.1 {self.status} {self.reason}"
        head = f"{status}\r\n{lines}Content-Length: {len(body)}\r\n{_date_and_server()}\r\n"
        await self._request.writer.write_eof(head.encode() + body)


class _Second:
    """The second of the last answer, so that its text is made once."""

    number = -1
    text = ""


def _date_and_server() -> str:
    now = int(time.time())
    if now != _Second.number:
        date = formatdate(now, usegmt=True)
        _Second.number, _Second.text = now, f"Date: {date}\r\nServer: {SERVER_SOFTWARE}\r\n"
    return _Second.text
