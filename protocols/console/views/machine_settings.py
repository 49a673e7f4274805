"""What can be set on one machine: a page with one form for each thing."""

from collections.abc import Sequence
from dataclasses import replace

from aiohttp import web

from core.booking import require_fit
from core.catalogue import Image, Product
from core.errors import CoreError, IncorrectState, InvalidRequest, InvalidTag, LimitReached, TooManyTags
from core.fleet import Fleet
from core.ids import ImageId, ProductId, SecurityGroupId
from core.instances import REINSTALLABLE, RESIZABLE, Instance, Options, ShutdownBehaviour, checked_hostname
from core.orders import USER_DATA_LIMIT_BYTES
from core.tags import MOST_TAGS, VALUE_LENGTH, Resource, ResourceKind
from protocols import ids
from protocols.console import listing
from protocols.console.routes import Pages, Visit
from protocols.console.views.machine import found, page

pages = Pages()

_EMPTY_ROWS = 3
_LONGEST_HOSTNAME = 253
_DONE_SOON = "The machine takes it over by itself."


def _back(visit: Visit, message: str) -> web.Response:
    return visit.go(f"machines/{visit.variables['machine']}", message)


# --- names


@pages.get("machines/{machine}/name")
async def show_name(visit: Visit) -> web.StreamResponse:
    """Return the page to rename the machine."""
    fleet, machine = await found(visit)
    tags = fleet.tags(ResourceKind.INSTANCE, machine.id)
    return await page(visit, "machine_name.html", tag=tags.get("Name", ""))


@pages.post("machines/{machine}/name", again=show_name, fields={InvalidTag: "name", TooManyTags: "name"})
async def rename(visit: Visit) -> web.StreamResponse:
    """Give the machine another name and host name."""
    _, machine = await found(visit)
    form = visit.form
    name = form.text("name", most=VALUE_LENGTH, is_required=False)
    hostname = form.text("hostname", most=_LONGEST_HOSTNAME, is_required=False)
    if hostname:
        form.parsed("hostname", checked_hostname, hostname, "")
    form.require()
    kept = "" if hostname == f"m{machine.id}" else hostname
    await visit.core.machines.set_options(visit.calling, machine.id, lambda options: replace(options, hostname=kept))
    resource = _resource(visit, machine)
    if name:
        await visit.core.tag(visit.calling, [resource], {"Name": name})
    else:
        await visit.core.untag(visit.calling, [resource], {"Name": None})
    return _back(visit, f"The machine is called {name or kept or f'm{machine.id}'}.")


# --- options


@pages.get("machines/{machine}/options")
async def show_options(visit: Visit) -> web.StreamResponse:
    """Return the page of the machine's options."""
    return await page(
        visit, "machine_options.html", behaviours=[(each.value, each.value) for each in ShutdownBehaviour]
    )


@pages.post("machines/{machine}/options", again=show_options, fields={LimitReached: "keeps_disk"})
async def set_options(visit: Visit) -> web.StreamResponse:
    """Set the machine's options."""
    form, machine_id = visit.form, visit.machine_id()
    behaviour = form.choice("behaviour", [each.value for each in ShutdownBehaviour])
    form.require()

    def change(options: Options) -> Options:
        return replace(
            options,
            is_protected=form.flag("is_protected"),
            is_stop_protected=form.flag("is_stop_protected"),
            is_monitored=form.flag("is_monitored"),
            keeps_disk=form.flag("keeps_disk"),
        )

    await visit.core.machines.set_options(visit.calling, machine_id, change)
    await visit.core.machines.set_shutdown_behaviour(visit.calling, machine_id, ShutdownBehaviour(behaviour))
    return _back(visit, "The options are set.")


# --- tags


@pages.get("machines/{machine}/tags")
async def show_tags(visit: Visit) -> web.StreamResponse:
    """Return the page of the machine's tags, with room for some more."""
    fleet, machine = await found(visit)
    tags = list(fleet.tags(ResourceKind.INSTANCE, machine.id).items())
    rows = [(visit.form.value(f"key-{row}"), visit.form.value(f"value-{row}")) for row in _rows(visit)]
    blank = [("", "")] * _EMPTY_ROWS
    return await page(visit, "machine_tags.html", rows=rows or [*tags, *blank])


@pages.post("machines/{machine}/tags", again=show_tags, fields={InvalidTag: "key-0", TooManyTags: "key-0"})
async def set_tags(visit: Visit) -> web.StreamResponse:
    """Give the machine these tags and no others."""
    fleet, machine = await found(visit)
    form, wanted = visit.form, dict[str, str]()
    for row in _rows(visit):
        key = form.text(f"key-{row}", is_required=False)
        value = form.text(f"value-{row}", is_required=False, most=VALUE_LENGTH)
        if value and not key:
            form.refuse(f"key-{row}", "Give this value a key, or clear it.")
        if key in wanted:
            form.refuse(f"key-{row}", f"The key {key!r} stands here twice; each may stand once.")
        if key:
            wanted[key] = value
    form.require()
    resource, had = _resource(visit, machine), fleet.tags(ResourceKind.INSTANCE, machine.id)
    if gone := {key: None for key in had if key not in wanted}:
        await visit.core.untag(visit.calling, [resource], gone)
    if new := {key: value for key, value in wanted.items() if had.get(key) != value}:
        await visit.core.tag(visit.calling, [resource], new)
    return _back(visit, "The tags are set.")


def _rows(visit: Visit) -> Sequence[int]:
    """Return the numbers of the rows that were sent."""
    return [row for row in range(MOST_TAGS + _EMPTY_ROWS) if visit.form.each(f"key-{row}")]


def _resource(visit: Visit, machine: Instance) -> Resource:
    return Resource(visit.calling.account_id, ResourceKind.INSTANCE, machine.id)


# --- security groups


@pages.get("machines/{machine}/groups")
async def show_groups(visit: Visit) -> web.StreamResponse:
    """Return the page of the security groups that the machine can be in."""
    fleet, machine = await found(visit)
    network = fleet.network_in(fleet.region_of(machine.zone_id).id)
    groups = [group for group in fleet.security_groups() if group.network_id == network.id]
    return await page(visit, "machine_groups.html", groups=groups)


@pages.post("machines/{machine}/groups", again=show_groups)
async def set_groups(visit: Visit) -> web.StreamResponse:
    """Put the machine into the groups that are ticked, and no others."""
    wanted = [SecurityGroupId(int(text)) for text in visit.form.each("group") if text.isascii() and text.isdecimal()]
    if not wanted:
        visit.form.refuse("group", "Tick at least one group.")
    visit.form.require()
    await visit.core.machines.set_groups(visit.calling, visit.machine_id(), wanted)
    return _back(visit, f"The security groups are changed. {_DONE_SOON}")


# --- user data


@pages.get("machines/{machine}/user-data")
async def show_user_data(visit: Visit) -> web.StreamResponse:
    """Return the machine's user data, to be changed while it is stopped."""
    _, machine = await found(visit)
    data = await visit.core.machines.user_data(visit.calling, machine.id)
    text = _text(data)
    return await page(
        visit,
        "machine_user_data.html",
        text=text,
        size=len(data),
        can_change=machine.state in RESIZABLE and text is not None,
    )


@pages.post("machines/{machine}/user-data", again=show_user_data, fields={InvalidRequest: "user_data"})
async def set_user_data(visit: Visit) -> web.StreamResponse:
    """Give the machine other user data."""
    text = visit.form.block("user_data", most=USER_DATA_LIMIT_BYTES)
    visit.form.require()
    await visit.core.machines.set_user_data(visit.calling, visit.machine_id(), text.encode("utf-8", "replace"))
    return _back(visit, "The user data is changed; the machine reads it when it starts.")


def _text(data: bytes) -> str | None:
    """Return user data as text; None if it is none."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    return text if text.replace("\n", "").replace("\t", "").replace("\r", "").isprintable() else None


# --- type


@pages.get("machines/{machine}/resize")
async def show_types(visit: Visit) -> web.StreamResponse:
    """Return the page of the types that the machine can become one of."""
    fleet, machine = await found(visit)
    fitting = [(each, fleet.free(each, machine.zone_id)) for each in fleet.products() if _fits(fleet, machine, each)]
    return await page(
        visit,
        "machine_resize.html",
        product=fleet.product(machine.product_id),
        currency=fleet.order(machine.order_id).currency,
        fitting=fitting,
        is_stopped=machine.state in RESIZABLE,
    )


@pages.post("machines/{machine}/resize", again=show_types, fields={CoreError: "product"})
async def resize(visit: Visit) -> web.StreamResponse:
    """Make the machine one of another type."""
    fleet, machine = await found(visit)
    offered = {product.slug: product for product in fleet.products() if _fits(fleet, machine, product)}
    slug = visit.form.value("product")
    if slug not in offered:
        visit.form.refuse("product", "Choose one of the types.")
    visit.form.require()
    product = offered[slug]
    await visit.core.machines.resize(visit.calling, machine.id, ProductId(product.id))
    return _back(visit, f"The machine is {product.instance_type} now; start it when you like.")


def _fits(fleet: Fleet, machine: Instance, product: Product) -> bool:
    """Whether a machine could become one of a product, were there room."""
    if product.id == machine.product_id or machine.zone_id not in product.capacity:
        return False
    is_priced_alike = product.currency == fleet.order(machine.order_id).currency
    is_large_enough = product.disk_gib >= fleet.product(machine.product_id).disk_gib
    return is_priced_alike and is_large_enough and _can_run(product, fleet.image(machine.image_id))


def _can_run(product: Product, image: Image) -> bool:
    try:
        require_fit(image, product)
    except CoreError:
        return False
    return True


# --- its disk


@pages.get("machines/{machine}/reinstall")
async def show_images(visit: Visit) -> web.StreamResponse:
    """Return the page of the images that the machine can be installed anew with."""
    fleet, machine = await found(visit)
    return await page(
        visit,
        "machine_reinstall.html",
        images=[(each.name, each.title) for each in _images(fleet, machine)],
        image=fleet.image(machine.image_id),
        can_be=machine.state in REINSTALLABLE,
    )


@pages.post("machines/{machine}/reinstall", again=show_images, fields={CoreError: "image"})
async def reinstall(visit: Visit) -> web.StreamResponse:
    """Give the machine a new disk, after a question."""
    fleet, machine = await found(visit)
    images = {each.name: each for each in _images(fleet, machine)}
    name = visit.form.choice("image", images)
    visit.form.require()
    if machine.state not in REINSTALLABLE:
        raise IncorrectState(machine.id, machine.state, "reinstall")
    here = f"machines/{visit.variables['machine']}"
    if not visit.form.flag("confirmed"):
        called = listing.named(fleet, machine)
        return await visit.page(
            "confirm.html",
            title=f"Reinstall {called}?",
            text=f"It is given a new disk with {images[name].title}. All that is on the one it has is lost for good.",
            lost=[f"{called} ({ids.instance_id(machine.id)}): everything on its disk"],
            path=f"{here}/reinstall",
            values=[("image", name)],
            label="Reinstall it",
            back=here,
        )
    await visit.core.machines.reinstall(visit.calling, machine.id, ImageId(images[name].id))
    return _back(visit, f"The machine is being reinstalled with {images[name].title}.")


def _images(fleet: Fleet, machine: Instance) -> Sequence[Image]:
    """Return the images that the machine can be given."""
    product, platform = fleet.product(machine.product_id), fleet.image(machine.image_id).platform
    return [each for each in fleet.images() if each.platform == platform and _can_run(product, each)]


# --- its password


@pages.get("machines/{machine}/password")
async def show_password(visit: Visit) -> web.StreamResponse:
    """Return the root password that the machine was given."""
    password = await visit.core.machines.password(visit.calling, visit.machine_id())
    return await page(visit, "machine_password.html", password=password)


@pages.post("machines/{machine}/password", again=show_password)
async def set_password(visit: Visit) -> web.StreamResponse:
    """Give the machine a new root password."""
    await visit.core.machines.set_password(visit.calling, visit.machine_id())
    return visit.go(f"machines/{visit.variables['machine']}/password", f"It has a new root password. {_DONE_SOON}")
