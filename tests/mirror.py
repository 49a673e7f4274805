"""A web server that has one file, with the faults that real ones have."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Mirror:
    """What is served under every path, and how badly. `asked` are the headers of each request so far."""

    url: str = ""
    content: bytes = b""
    validators: dict[str, str] = field(default_factory=lambda: {"ETag": '"one"'})
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)  # other files, by path
    cuts: list[int] = field(default_factory=list)  # after how many bytes each answer ends too early
    stalls_at: int = -1  # after how many bytes of an answer nothing comes any more, until `released`
    tells_size: bool = True
    heeds_if_range: bool = True
    released: threading.Event = field(default_factory=threading.Event)
    asked: list[dict[str, str]] = field(default_factory=list)

    @property
    def ranges(self) -> list[str]:
        """What of the file was asked for, by each request."""
        return [headers.get("Range", "") for headers in self.asked]


class _Handler(BaseHTTPRequestHandler):
    """One connection. HTTP/1.0: the end of an answer is the end of the connection."""

    mirror: Mirror

    def do_GET(self) -> None:
        mirror = self.mirror
        if self.path in mirror.texts:
            self._answer(200, mirror.texts[self.path].encode(), {})
            return
        mirror.asked.append(dict(self.headers))
        start = self._start()
        if mirror.status != 200:
            self._answer(mirror.status, b"no", mirror.headers)
        elif start > 0 and start >= len(mirror.content):
            self._answer(416, b"", {"Content-Range": f"bytes */{len(mirror.content)}"})
        elif start:
            total = len(mirror.content)
            told = {"Content-Range": f"bytes {start}-{total - 1}/{total}", **mirror.validators}
            self._answer(206, mirror.content[start:], told)
        else:
            self._answer(200, mirror.content, mirror.validators)

    def _start(self) -> int:
        proof = self.headers.get("If-Range")
        if "Range" not in self.headers or (
            self.mirror.heeds_if_range and proof and proof not in self.mirror.validators.values()
        ):
            return 0
        return int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        mirror = self.mirror
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if mirror.tells_size:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        cut = mirror.cuts.pop(0) if mirror.cuts and status in {200, 206} else len(body)
        try:
            if 0 <= mirror.stalls_at < cut:
                self.wfile.write(body[: mirror.stalls_at])
                mirror.released.wait(60)
                return
            self.wfile.write(body[:cut])
        except (BrokenPipeError, ConnectionResetError):
            pass

    def log_message(self, *_: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True


@contextmanager
def serving(content: bytes) -> Iterator[Mirror]:
    """Serve the content until the block ends."""
    mirror = Mirror(content=content)
    server = _Server(("127.0.0.1", 0), type("_Bound", (_Handler,), {"mirror": mirror}))
    mirror.url = f"http://127.0.0.1:{server.server_port}/images/small.qcow2"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield mirror
    finally:
        mirror.released.set()
        server.shutdown()
        thread.join()
        server.server_close()
