"""API access: whether it is on, the applications that may use it, and their keys."""

from collections.abc import Iterable

from aiohttp import web

from core.accounts import Network, parse_network
from core.errors import ApiAccessOff, ApplicationExists, InvalidRequest
from core.ids import ApplicationId
from core.service.access import ApplicationView, KeyView
from protocols.console.errors import PageNotFound
from protocols.console.routes import Pages, Visit
from protocols.console.snippets import Pair, snippets, url_of
from protocols.explorable import Origin

pages = Pages()

_NAMES = {ApplicationExists: "name", InvalidRequest: "name", ApiAccessOff: ""}
_LONGEST_ID = 16


@pages.get("api")
async def show(visit: Visit) -> web.StreamResponse:
    """Return whether API access is on, and all applications."""
    origin = origin_of(visit)
    return await visit.page(
        "api.html",
        account=await visit.core.access.account(visit.calling),
        applications=await visit.core.access.applications(visit.calling),
        endpoints=[(each, url_of(origin, each)) for each in visit.settings.endpoints],
        regions=await visit.core.region_names(),
    )


@pages.post("api/on")
async def turn_on(visit: Visit) -> web.StreamResponse:
    """Turn API access on."""
    if not visit.form.flag("confirmed"):
        return await visit.page(
            "confirm.html",
            title="Turn on API access?",
            text="Programs that have an API key of your account can then do most of what you can do here:",
            lost=[
                "order machines, at your account's cost",
                "stop, reinstall and terminate machines, with all that is on their disks",
                "see and change key pairs, addresses, security groups and tags",
            ],
            path="api/on",
            values=[],
            label="Turn on API access",
            back="api",
        )
    await visit.core.access.turn(visit.calling, is_on=True)
    return visit.go("api", "API access is on. Create an application next, and then its API key.")


@pages.post("api/off")
async def turn_off(visit: Visit) -> web.StreamResponse:
    """Turn API access off, once it is clear which keys stop."""
    if not visit.form.flag("confirmed"):
        working = _working(await visit.core.access.applications(visit.calling))
        return await visit.page(
            "confirm.html",
            title="Turn off API access?",
            text="These keys stop working at once; they work again when you turn API access on again. Machines run on."
            if working
            else "No key works now, so nothing stops. Machines run on.",
            lost=[f"{key.access_key} of {view.application.name}" for view, key in working],
            path="api/off",
            values=[],
            label="Turn off API access",
            back="api",
        )
    await visit.core.access.turn(visit.calling, is_on=False)
    return visit.go("api", "API access is off: no key of your account works.")


@pages.post("api/applications", again=show, fields=_NAMES)
async def create(visit: Visit) -> web.StreamResponse:
    """Make an application."""
    name, networks = _typed(visit)
    application = await visit.core.access.create(visit.calling, name, networks)
    return visit.go(f"api/applications/{application.id}", f"Application {name} is there. It needs an API key next.")


@pages.get("api/applications/{application}")
async def show_one(visit: Visit) -> web.StreamResponse:
    """Return one application, to change it."""
    view = await _asked(visit)
    account = await visit.core.access.account(visit.calling)
    return await visit.page("application.html", account=account, view=view, newest=_newest(view))


@pages.post("api/applications/{application}", again=show_one, fields=_NAMES)
async def change(visit: Visit) -> web.StreamResponse:
    """Change an application's name, and where it may call from."""
    before = (await _asked(visit)).application
    name, networks = _typed(visit)
    await visit.core.access.change(visit.calling, before.id, name=name, networks=networks, is_enabled=before.is_enabled)
    return visit.go(_path(before.id), "That is changed, from the next request on.")


@pages.post("api/applications/{application}/switch")
async def switch(visit: Visit) -> web.StreamResponse:
    """Let an application use its keys, or stop it."""
    before = (await _asked(visit)).application
    is_enabled = visit.form.flag("is_enabled")
    await visit.core.access.change(
        visit.calling, before.id, name=before.name, networks=before.networks, is_enabled=is_enabled
    )
    return visit.go(
        _path(before.id), f"{before.name} is {'enabled' if is_enabled else 'disabled: none of its keys works'}."
    )


@pages.post("api/applications/{application}/keys/{key}")
async def switch_key(visit: Visit) -> web.StreamResponse:
    """Let a key be used, or stop it."""
    view = await _asked(visit)
    key = next((each for each in view.keys if each.access_key == visit.variables["key"]), None)
    if key is None:
        raise PageNotFound
    is_enabled = visit.form.flag("is_enabled")
    await visit.core.access.set_key_enabled(visit.calling, key.access_key, is_enabled=is_enabled)
    return visit.go(_path(view.application.id), f"Key {key.access_key} is {'enabled' if is_enabled else 'disabled'}.")


@pages.post("api/applications/{application}/update-key", again=show_one, fields={ApiAccessOff: ""})
async def update_key(visit: Visit) -> web.StreamResponse:
    """Make a pair and tell its secret, this once; the former pair, which is asked about first, stops working."""
    view = await _asked(visit)
    path, newest = _path(view.application.id), _newest(view)
    former = newest.access_key if newest else ""
    if visit.form.value("replaces") != former:  # sent twice, or from a page that is out of date
        return visit.go(path, "Nothing was done: this application has got another key since that page was shown.")
    if newest and not visit.form.flag("confirmed"):
        return await visit.page(
            "confirm.html",
            title="Update API key and hash?",
            text="The pair that there is stops working at once, with all its sessions. Give the new one to every"
            f" program that uses {view.application.name}.",
            lost=[f"{former}, {_use_of(newest)}"],
            path=f"{path}/update-key",
            values=[("replaces", former)],
            label="Update API key and hash",
            back=path,
        )
    key = await visit.core.access.update_key(visit.calling, view.application.id)
    region = next(iter(await visit.core.region_names()), "")
    pair = Pair(key.access_key, key.secret_key, region, origin_of(visit))
    return await visit.page(
        "new_key.html", view=view, key=key, snippets=snippets(pair, visit.settings.endpoints), former=former
    )


def origin_of(visit: Visit) -> Origin:
    """Return where the gateway is reached, as this browser called it."""
    return Origin(visit.exchange.scheme, visit.exchange.host)


def _path(application_id: ApplicationId) -> str:
    return f"api/applications/{application_id}"


async def _asked(visit: Visit) -> ApplicationView:
    """Return the application that the path names.

    Raises:
        PageNotFound, UnknownApplication: it names none of the account.
    """
    text = visit.variables["application"]
    if not (text.isascii() and text.isdecimal() and len(text) < _LONGEST_ID):
        raise PageNotFound
    return await visit.core.access.application(visit.calling, ApplicationId(int(text)))


def _typed(visit: Visit) -> tuple[str, tuple[Network, ...]]:
    """Return name and networks from the form.

    Raises:
        FormRefused: one of them is wrong.
    """
    form = visit.form
    name = form.text("name", what="a name, such as that of the program")
    networks = tuple([network for line in form.lines("networks") for network in _network(visit, line)])
    form.require()
    return name, networks


def _network(visit: Visit, line: str) -> Iterable[Network]:
    try:
        return [parse_network(line)]
    except InvalidRequest as error:
        visit.form.refuse("networks", f"“{line}” is not {error.expected}; change or remove this line.")
        return []


def _newest(view: ApplicationView) -> KeyView | None:
    """Return the key that a new one would replace."""
    return view.keys[-1] if view.keys else None


def _working(views: Iterable[ApplicationView]) -> list[tuple[ApplicationView, KeyView]]:
    enabled = [view for view in views if view.application.is_enabled]
    return [(view, key) for view in enabled for key in view.keys if key.is_enabled]


def _use_of(key: KeyView) -> str:
    if key.use is None:
        return "which was never used"
    return f"last used {key.use.at:%Y-%m-%d %H:%M} UTC from {key.use.address}"
