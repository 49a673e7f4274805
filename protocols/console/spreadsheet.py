"""Tables as CSV, for spreadsheets and programs."""

import csv
import io
from collections.abc import Iterable, Sequence

from aiohttp import web

from protocols.console.rendering import HEADERS

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def lines_of(rows: Iterable[Sequence[object]]) -> str:
    """Return rows as lines of CSV (RFC 4180).

    Text that a spreadsheet would take for a formula gets an apostrophe before it: much of it is written by strangers.
    Source: OWASP, CSV Injection.
    """
    text = io.StringIO()
    csv.writer(text).writerows([_harmless(cell) for cell in row] for row in rows)
    return text.getvalue()


def file_headers(name: str) -> dict[str, str]:
    """Return the headers of a CSV file that a browser is to save under a name of ours."""
    return {
        **HEADERS,
        "Content-Type": "text/csv; charset=utf-8",
        "Content-Disposition": f'attachment; filename="{name}"',
    }


def answer(name: str, rows: Iterable[Sequence[object]]) -> web.Response:
    """Return rows, the first with their heads, as a CSV file."""
    return web.Response(body=lines_of(rows).encode(), headers=file_headers(name))


def _harmless(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA_STARTS) else cell
