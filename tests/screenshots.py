"""Pictures of every page of the console, narrow and wide, light and dark, to be looked at by people.

.venv/bin/python -m tests.screenshots [FOLDER]
"""

import asyncio
import html
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import sin
from pathlib import Path

from core.ids import InstanceId
from core.storage.samples import FILE_NAME, SampleFile
from core.usage import Usage
from protocols.console.routes import Audience
from tests.browser import NARROW, WIDE, Person, become_operator, chromium, open_to_all
from tests.running import REPOSITORY, RunningGateway
from tests.showroom import PAGES, SECTIONS, Clients, Showroom, filled, furnish, keys_of

FOLDER = REPOSITORY / "build" / "screenshots"
WIDTHS = (NARROW, WIDE)
SCHEMES = ("light", "dark")
_DAYS = 23
_STEP = timedelta(minutes=30)
_LAST_STEP = timedelta(minutes=1)
_ISSUER = ["Example Hosting Ltd", "1 Example Street, Example Town", "VAT EX 123 456 789"]
_AS_IF_OPENED = (
    f"width => document.querySelectorAll('details.menu').forEach(menu => {{ menu.open = width > {NARROW} }})"
)
_PAGES_WITHOUT_ANYBODY = ("sign-in", "sign-in/code", "sign-up")


@dataclass(frozen=True)
class Scene:
    """A page: what it is called, who sees it, and how they get there."""

    name: str
    person: Person
    open: Callable[[Person], object]


def main(folder: Path) -> None:
    """Make all pictures anew, and a page that shows them."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as place, ExitStack() as stack:
        console = {"sign_up": True, "title": "Example Hosting", "issuer": _ISSUER}
        gateway = open_to_all(Path(place), **SECTIONS)
        gateway.configure(console=console)
        stack.enter_context(gateway)
        browser = stack.enter_context(chromium())
        customer, operator, newcomer, stranger = (stack.enter_context(Person(browser, gateway)) for _ in range(4))
        room = _furnished(gateway, customer)
        newcomer.sign_up("new@example.org", "Newcomer")
        become_operator(operator)
        names = []
        for scene in _scenes(room, customer, operator, newcomer, stranger):
            scene.open(scene.person)
            _take(scene, folder)
            names.append(scene.name)
            sys.stderr.write(f"{scene.name}\n")
    (folder / "index.html").write_text(_index(names))


def _furnished(gateway: RunningGateway, customer: Person) -> Showroom:
    """Return a customer's account as it is after some weeks."""
    customer.sign_up("ann@example.com", "Ann's web shop")
    clients = Clients(gateway, keys_of(gateway, "Ann's web shop"))
    room = furnish(clients)
    customer.order("gcl.2", name="staging", tags="project=webshop\nstage=test")
    gateway.configure(compute={"simulated": {"failure_rate": 1}})
    gateway.restart()
    customer.order("gcl.max.16", name="too-much")
    customer.go("machines")
    gateway.stop()
    _let_time_pass(gateway)
    gateway.configure(compute={"simulated": {"failure_rate": 0}})
    gateway.start()
    return room


def _let_time_pass(gateway: RunningGateway) -> None:
    """Have everything happened some weeks ago, but for what ended: lists forget that after an hour."""
    micros = int(timedelta(days=_DAYS).total_seconds() * 1e6)
    with closing(sqlite3.connect(gateway.data / "onefleet.db")) as db:
        for table, column in (("accounts", "created_at"), ("orders", "created_at"), ("instances", "launched_at")):
            db.execute(f"UPDATE {table} SET {column} = {column} - ? * (1 + rowid % 3) / 3", (micros,))
        living = [row[0] for row in db.execute("SELECT id FROM instances WHERE ended_at IS NULL")]
        db.commit()
    with ThreadPoolExecutor(1) as beside:  # Playwright has a loop in this thread
        beside.submit(asyncio.run, _use_machines(gateway.data / FILE_NAME, living)).result()


async def _use_machines(file: Path, machines: Sequence[int]) -> None:
    """Have machines used something all the time, more by day than by night."""
    samples, now = SampleFile(file), datetime.now(UTC)
    for at, step in _moments(now):
        busy = 0.35 + 0.3 * sin(at.timestamp() / 13750) + 0.1 * sin(at.timestamp() / 900)
        usages = [_usage(InstanceId(machine), at, max(0.02, busy)) for machine in machines]
        await samples.keep(usages, step.total_seconds(), set(map(InstanceId, machines)))
    await samples.close()


def _moments(now: datetime) -> Iterator[tuple[datetime, timedelta]]:
    at, lately = now - timedelta(days=_DAYS), now - timedelta(hours=2)
    while at < now:
        step = _STEP if at < lately else _LAST_STEP
        yield at, step
        at += step


def _usage(machine: InstanceId, at: datetime, busy: float) -> Usage:
    return Usage(machine, at, busy, 300 + 500 * busy, 2e5 * busy, 9e5 * busy, 3e6 * busy**2, 1e6 * busy)


# --- what is to be seen


def _scenes(room: Showroom, customer: Person, operator: Person, newcomer: Person, stranger: Person) -> Iterator[Scene]:
    names = room.names
    for route in PAGES:
        path = filled(route.template, names)
        person = operator if route.audience is Audience.OPERATORS else customer
        if route.template in _PAGES_WITHOUT_ANYBODY:
            person = stranger
        yield Scene(route.template or "overview", person, _to(path))
    machine = f"machines/{room.running}"
    yield Scene("newcomer overview", newcomer, _to(""))
    yield Scene("newcomer machines", newcomer, _to("machines"))
    yield Scene("newcomer api", newcomer, _to("api"))
    yield Scene("newcomer usage", newcomer, _to("usage"))
    yield Scene("newcomer security groups", newcomer, _to("security-groups"))
    yield Scene("sign-in wrong", stranger, lambda person: person.sign_in("ann@example.com", "not this one"))
    yield Scene("not found", customer, _to("machines/i-00000000000009999"))
    yield Scene("machine stopped", customer, _to(f"machines/{room.stopped}"))
    yield Scene("machine ended", customer, _to(f"machines/{room.ended}"))
    yield Scene("graphs of a week", customer, _to(f"{machine}/graphs?span=week"))
    yield Scene("terminate", customer, lambda person: (person.go(machine), person.press("Terminate")))
    yield Scene("order wrong", customer, _order_badly)
    yield Scene("order review", customer, lambda person: (person.go("order/gcl.1"), person.press("Review the order")))
    yield Scene("explorer form", customer, _to("explorer?protocol=EC2&operation=DescribeInstances"))
    yield Scene("explorer answer", customer, _explore)
    yield Scene("new key", customer, _make_key)


def _to(path: str) -> Callable[[Person], object]:
    return lambda person: person.go(path)


def _order_badly(person: Person) -> None:
    person.go("order/gcl.1")
    person.fill("Machines", "9999999")
    person.fill("File to download", "ftp://example.com/data")
    person.press("Review the order")


def _explore(person: Person) -> None:
    person.go("explorer?protocol=EC2&operation=DescribeInstances")
    person.press("Send")


def _make_key(person: Person) -> None:
    person.go("api")
    person.fill("Name", "ci-runner")
    person.press("Create application")
    person.press("Update API key and hash")


# --- pictures


def _take(scene: Scene, folder: Path) -> None:
    page = scene.person.page
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        page.evaluate(_AS_IF_OPENED, width)
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # one of the literals it knows
            page.screenshot(path=folder / _file_of(scene.name, width, scheme), full_page=True)


def _file_of(name: str, width: int, scheme: str) -> str:
    plain = "".join(each if each.isalnum() else "-" for each in name).strip("-")
    return f"{plain}-{width}-{scheme}.png"


def _index(names: Sequence[str]) -> str:
    rows = "".join(
        f"<h2>{html.escape(name)}</h2><p>"
        + "".join(_picture(_file_of(name, width, scheme), width) for scheme in SCHEMES for width in WIDTHS)
        + "</p>"
        for name in names
    )
    return f"<!doctype html><meta charset=utf-8><title>The console</title><h1>The console</h1>{rows}\n"


def _picture(file: str, width: int) -> str:
    return f'<a href="{file}"><img src="{file}" width="{width // 3}" loading="lazy" alt="{file}"></a> '


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
