"""The API explorer: an operation is picked, filled in, signed with a key of one's own, sent, and its answer shown."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from secrets import token_hex

from aiohttp import web

from core.accounts import ApiKey
from core.errors import ApiAccessOff, UnknownKey, UnknownRegion
from protocols.console.errors import PageNotFound
from protocols.console.forms import Form, FormRefused
from protocols.console.routes import Pages, Visit
from protocols.console.views.access import origin_of
from protocols.explorable import (
    Answered,
    Door,
    Explorable,
    NoAnswer,
    Operation,
    Prepared,
    Signer,
    Spelling,
    Unfit,
    Values,
    parse_extra,
)

pages = Pages()

LONGEST_SHOWN = 256 * 1024

_FIELD = "field."
_EXTRA = "extra"
_LONGEST_LINK = 4000
_NO_ANSWER = 504
_UNTOLD = frozenset({"date", "server", "connection", "content-length"})
"""Headers of every answer, which tell nothing about this one."""


@dataclass(frozen=True, slots=True)
class Shown:
    """An answer as it is shown: its body indented, and cut where it is very long."""

    answered: Answered
    headers: Sequence[tuple[str, str]]
    text: str
    is_cut: bool


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a form asks for, signed, and how else it can be written."""

    prepared: Prepared
    spellings: Sequence[Spelling]


@pages.get("explorer")
async def show(visit: Visit) -> web.StreamResponse:
    """Return all operations, or the form of one."""
    account = await visit.core.access.account(visit.calling)
    if not account.has_api or visit.me.is_acting:
        return await visit.page("explorer_off.html")
    if visit.form.is_sent:
        return await _show_form(visit)
    if visit.query.get("operation"):
        visit.form = Form(list(visit.query.items()))  # a link may fill in as much as it likes; nothing is sent by it
        return await _show_form(visit)
    sought = visit.query.get("search", "").strip()
    found = [(each.name, _grouped(each.operations(), sought)) for each in visit.house.explorables]
    make = visit.part if visit.query.get("part") else visit.page
    return await make(
        "explorer_list.html" if visit.query.get("part") else "explorer.html",
        found=[(name, groups) for name, groups in found if groups],
        search=sought,
    )


@pages.post("explorer", again=show, fields={UnknownKey: "key", UnknownRegion: "region", ApiAccessOff: ""})
async def send(visit: Visit) -> web.StreamResponse:
    """Send what was filled in, or only show it; what changes something is asked about first."""
    form = visit.form
    if visit.me.is_acting:  # what a key does is written down as the key's doing: nobody would know of the operator
        return await show(visit)
    explorable, operation = _chosen(visit)
    key = await visit.core.access.secret(visit.calling, form.text("key", what="one of your keys"))
    region = (await visit.core.region(form.value("region"))).name if form.value("region") else ""
    asked = _asked(visit, explorable, operation, key, region)
    if form.value("do") == "show":
        return await _show_form(visit, asked)
    if not operation.is_reading and not form.flag("confirmed"):
        return await _confirm(visit, operation)
    try:
        answered = await _door(visit).send(asked.prepared, address=visit.exchange.address, scheme=visit.exchange.scheme)
    except NoAnswer as error:
        form.refuse("", str(error))
        visit.status = _NO_ANSWER
        return await _show_form(visit, asked)
    return await _show_form(visit, asked, await asyncio.to_thread(shown, answered))


# --- what is asked


def _door(visit: Visit) -> Door:
    """Return the way to the APIs.

    Raises:
        PageNotFound: none was lent.
    """
    if visit.house.door is None:
        raise PageNotFound
    return visit.house.door


def _chosen(visit: Visit) -> tuple[Explorable, Operation]:
    """Return the protocol and the operation that the form names.

    Raises:
        PageNotFound: there is none of the name.
    """
    protocol, name = visit.form.value("protocol"), visit.form.value("operation")
    for explorable in visit.house.explorables:
        if explorable.name == protocol:
            for operation in explorable.operations():
                if operation.name == name:
                    return explorable, operation
    raise PageNotFound


def _asked(visit: Visit, explorable: Explorable, operation: Operation, key: ApiKey, region: str) -> _Asked:
    """Return the signed request.

    Raises:
        FormRefused: a field cannot be sent.
    """
    form, origin = visit.form, origin_of(visit)
    signer = Signer(key.access_key, key.secret_key, region, visit.now, token_hex(16))
    values = _values(form, operation)
    try:
        extra = list(parse_extra(form.value(_EXTRA)))
        prepared = explorable.prepare(operation.name, values, extra, origin=origin, signer=signer)
        spellings = explorable.spell(
            operation.name, values, extra, origin=origin, region=region, access_key=key.access_key
        )
    except Unfit as unfit:
        form.refuse(unfit.field if unfit.field == _EXTRA else f"{_FIELD}{unfit.field}", unfit.text)
        raise FormRefused from unfit
    return _Asked(prepared, spellings)


def _values(form: Form, operation: Operation) -> Values:
    return {field.name: form.each(f"{_FIELD}{field.name}") for field in operation.fields}


async def _confirm(visit: Visit, operation: Operation) -> web.StreamResponse:
    """Ask before something changes; every field goes along, and back again unless there is too much of it."""
    form = visit.form
    picked = _pairs(form, ["protocol", "operation", "key", "region"])
    filled_in = _pairs(form, [*_field_names(operation), _EXTRA])
    link = visit.query_of(**dict([*picked, *filled_in]))
    return await visit.page(
        "confirm.html",
        title=f"Send {operation.name}?",
        text=f"{operation.summary} This is carried out for your account, with the key {form.value('key')}, and may cost"
        " money or data.",
        lost=[f"{name.removeprefix(_FIELD)}: {value}" for name, value in filled_in],
        path="explorer",
        values=[*picked, *filled_in],
        label="Send it",
        back=f"explorer{link if len(link) <= _LONGEST_LINK else visit.query_of(**dict(picked))}",
    )


def _field_names(operation: Operation) -> Sequence[str]:
    return [f"{_FIELD}{field.name}" for field in operation.fields]


def _pairs(form: Form, names: Sequence[str]) -> Sequence[tuple[str, str]]:
    return [(name, value) for name in names for value in form.each(name) if value]


# --- what is shown


async def _show_form(visit: Visit, asked: _Asked | None = None, answer: Shown | None = None) -> web.StreamResponse:
    explorable, operation = _chosen(visit)
    return await visit.page(
        "explorer_operation.html",
        explorable=explorable,
        operation=operation,
        keys=await _keys(visit),
        regions=[(name, name) for name in await visit.core.region_names()] if explorable.has_regions else [],
        asked=asked,
        request=_wire(asked.prepared) if asked else "",
        answer=answer,
    )


async def _keys(visit: Visit) -> Sequence[tuple[str, str]]:
    """Return the keys that can sign, with words for each."""
    views = [view for view in await visit.core.access.applications(visit.calling) if view.application.is_enabled]
    return [
        (key.access_key, f"{view.application.name} · {key.access_key}")
        for view in views
        for key in view.keys
        if key.is_enabled
    ]


def _grouped(operations: Sequence[Operation], sought: str) -> Mapping[str, Sequence[Operation]]:
    """Return the operations that have all words sought in name or summary, by their group."""
    words = sought.lower().split()
    groups: dict[str, list[Operation]] = {}
    for operation in operations:
        text = f"{operation.name} {operation.summary} {operation.group}".lower()
        if all(word in text for word in words):
            groups.setdefault(operation.group, []).append(operation)
    return groups


def _wire(prepared: Prepared) -> str:
    """Return a request as it goes over the wire."""
    head = [f"{prepared.method} {prepared.path_and_query} HTTP/1.1", *[f"{n}: {v}" for n, v in prepared.headers]]
    return "\n".join(head) + (f"\n\n{prepared.body.decode('utf-8', 'replace')}" if prepared.body else "\n")


def shown(answered: Answered) -> Shown:
    """Return an answer for people to read. Long ones take a while: call this in a thread."""
    headers = [(name, value) for name, value in answered.headers if name.lower() not in _UNTOLD]
    kind = next((value for name, value in headers if name.lower() == "content-type"), "").partition(";")[0]
    indent = _INDENTING.get(kind.rpartition("/")[2], _as_text) if answered.is_whole else _as_text
    text = indent(answered.body)
    return Shown(answered, headers, text[:LONGEST_SHOWN], not answered.is_whole or len(text) > LONGEST_SHOWN)


def _as_text(body: bytes) -> str:
    return body.decode("utf-8", "replace")


def _indented_xml(body: bytes) -> str:
    from lxml import etree  # noqa: PLC0415  nobody else needs it: serving starts without

    # An answer may quote what anybody typed: nothing is fetched for it, and no entity is made of it.
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, remove_blank_text=True)
    try:
        return etree.tostring(etree.fromstring(body, parser), pretty_print=True, encoding="unicode")
    except etree.XMLSyntaxError:
        return _as_text(body)


def _indented_json(body: bytes) -> str:
    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return _as_text(body)


_INDENTING: Mapping[str, Callable[[bytes], str]] = {"xml": _indented_xml, "json": _indented_json}
