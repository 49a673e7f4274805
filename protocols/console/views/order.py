"""Ordering machines: the catalogue, the form, what it would cost, and the booking itself."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from aiohttp import web

from core.billing import TERMS_HOURS, first_charge
from core.booking import fits
from core.catalogue import Image, Product, Region, Zone
from core.errors import (
    DoesNotFit,
    InsufficientCapacity,
    InvalidTag,
    LimitReached,
    NoAddressLeft,
    NotOfferedInRegion,
    NotOfferedInZone,
    SpendingLimitReached,
    TooManyGroups,
    TooManyTags,
    UnfitImage,
    UnknownImage,
    UnknownKeyPairs,
    UnknownResource,
    UnknownZone,
)
from core.fleet import Fleet
from core.instances import STANDARD_OPTIONS, checked_hostname
from core.kinds import ResourceKind
from core.orders import (
    LONGEST_URL,
    MOST_EXTRA_ADDRESSES,
    MOST_MACHINES,
    USER_DATA_LIMIT_BYTES,
    Booking,
    is_download,
)
from core.securitygroups import MOST_GROUPS, SecurityGroup
from core.shopping import GEO, Demand, Filter, Relation
from core.tags import KEY_LENGTH, MOST_TAGS, VALUE_LENGTH
from protocols import ids
from protocols.console.errors import PageNotFound
from protocols.console.forms import Form
from protocols.console.routes import Pages, Visit

pages = Pages()

_MONTH_HOURS = 30 * 24
_MOST_GROUPS_SHOWN = 100
_LONGEST_TAGS = MOST_TAGS * (KEY_LENGTH + VALUE_LENGTH + 2)
_TOKEN_BYTES = 16


# --- the catalogue


@dataclass(frozen=True, slots=True)
class Stock:
    """How many machines of a product can be booked in a zone now."""

    zone: Zone
    region: Region
    free: int


@dataclass(frozen=True, slots=True)
class Offer:
    """A product with its stock, zone by zone."""

    product: Product
    stock: Sequence[Stock]

    @property
    def most(self) -> int:
        """The most machines of it that one order can have now."""
        return min(MOST_MACHINES, max((each.free for each in self.stock), default=0))

    @property
    def per_30_days(self) -> Decimal:
        """What one machine costs in thirty days."""
        return self.product.hourly_price * _MONTH_HOURS


_CATEGORIES = {"": "any", "cpu": "without a GPU", "gpu": "with a GPU"}
_ATTRIBUTES = {"cpu": "Processor", "gpu": "GPU", "ram": "Memory", "network-speed": "Network", GEO: "Place"}


@pages.get("order")
async def show_catalogue(visit: Visit) -> web.StreamResponse:
    """Return what can be ordered, of those things that are looked for."""
    visit.form = Form(list(visit.query.items()), is_sent=True)
    fleet = await visit.core.fleet(visit.calling)
    attributes = {**visit.settings.ranks, GEO: sorted({region.geo for region in fleet.regions()})}
    wanted, category = _filter(visit.form, attributes), visit.form.choice("category", _CATEGORIES)
    if visit.form.is_wrong:
        visit.status = 422
    found = [each for each in fleet.products() if _is_in(each, category) and wanted.admits(each, visit.settings.ranks)]
    offers = [_offer(fleet, product) for product in found]
    if visit.query.get("part"):
        return await visit.part("order_products.html", offers=offers)
    return await visit.page(
        "order.html",
        offers=offers,
        attributes=attributes,
        words=_ATTRIBUTES,
        categories=_CATEGORIES,
        relations=Relation,
    )


def _filter(form: Form, attributes: Mapping[str, Sequence[str]]) -> Filter:
    """Return the filter that the address asks for; what is wrong with it is noted in the form, and left out."""
    demands = {}
    for name, values in attributes.items():
        value = form.choice(name, ("", *values))
        relation = form.choice(f"{name}-relation", tuple(Relation), Relation.AT_LEAST)
        if value and not form.error(name) and not form.error(f"{name}-relation"):
            demands[name] = Demand(value, Relation(relation))
    least, most = form.money("least"), form.money("most")
    if least is not None and most is not None and least > most:
        form.refuse("most", "The highest price is below the lowest; change one of them.")
        least = most = None
    return Filter(demands, least, most)


def _is_in(product: Product, category: str) -> bool:
    has_gpu = product.gpu is not None or "gpu" in product.attributes
    return category not in ("cpu", "gpu") or has_gpu is (category == "gpu")


def _offer(fleet: Fleet, product: Product) -> Offer:
    zones = [zone for zone in fleet.zones() if zone.id in product.capacity]
    return Offer(
        product,
        [
            Stock(zone, fleet.region(zone.region_id), fleet.free(product, zone.id) if zone.is_available else 0)
            for zone in zones
        ],
    )


# --- the form


@dataclass(frozen=True, slots=True)
class Group:
    """A security group that the machines can be put into, and where."""

    group: SecurityGroup
    region: Region

    @property
    def spelled(self) -> str:
        """Its id as EC2 writes it."""
        return ids.spell(ResourceKind.SECURITY_GROUP, self.group.id)


@dataclass(frozen=True, slots=True)
class Shelf:
    """What there is to choose from for one product. `keys` has the regions of each name."""

    offer: Offer
    images: Sequence[Image]
    keys: Mapping[str, Sequence[str]]
    groups: Sequence[Group]

    @property
    def product(self) -> Product:
        """The product."""
        return self.offer.product

    @property
    def zone_choices(self) -> Sequence[tuple[str, str]]:
        """The zones with what is free there."""
        zones = [
            (each.zone.name, f"{each.zone.name} ({each.region.geo}), {each.free} free") for each in self.offer.stock
        ]
        return [("", "anywhere: where all of them fit"), *zones]

    @property
    def image_choices(self) -> Sequence[tuple[str, str]]:
        """The images, the product's own first."""
        ordered = sorted(self.images, key=lambda image: image.id != self.product.image_id)
        return [(image.name, image.title) for image in ordered]

    @property
    def key_choices(self) -> Sequence[tuple[str, str]]:
        """The key pairs, a new one, and none."""
        own = [(f"{_PAIR}{name}", f"{name} ({', '.join(regions)})") for name, regions in self.keys.items()]
        return [*own, (_NEW_KEY, "a new key for this order, to be downloaded afterwards"), (_NO_KEY, "none")]


_PAIR, _NEW_KEY, _NO_KEY = "pair:", "new", "none"
_TERM_WORDS = {
    "1": "by the hour: every hour that has begun",
    "730": "by the month: 730 hours at once",
    "2190": "by the quarter: 2190 hours at once",
}
TERMS = [(str(hours), _TERM_WORDS.get(str(hours), f"{hours} hours at once")) for hours in TERMS_HOURS]
_TYPED = (
    "zone", "count", "image", "key", "groups", "file_url", "script_url", "user_data", "term", "name", "hostname",
    "tags", "password", "addresses",
)  # fmt: skip
"""All fields of the form; what was typed in them travels through the page that asks whether all is well."""

_FIELDS = {
    SpendingLimitReached: "count",
    InsufficientCapacity: "count",
    LimitReached: "count",
    NoAddressLeft: "addresses",
    NotOfferedInZone: "zone",
    NotOfferedInRegion: "zone",
    UnknownZone: "zone",
    UnknownImage: "image",
    UnfitImage: "image",
    DoesNotFit: "image",
    UnknownKeyPairs: "key",
    UnknownResource: "groups",
    TooManyGroups: "groups",
    InvalidTag: "tags",
    TooManyTags: "tags",
}


@pages.get("order/{slug}")
async def show_product(visit: Visit) -> web.StreamResponse:
    """Return the form to order machines of one product, or what those would cost."""
    shelf = await _shelf(visit)
    if visit.query.get("part"):
        visit.form = Form(list(visit.query.items()), is_sent=True)
        return await visit.part("order_price.html", **await _costs(visit, shelf))
    return await visit.page(
        "order_product.html",
        terms=TERMS,
        groups=shelf.groups[:_MOST_GROUPS_SHOWN],
        more_groups=shelf.groups[_MOST_GROUPS_SHOWN:],
        most_groups=MOST_GROUPS,
        most_addresses=MOST_EXTRA_ADDRESSES,
        **await _costs(visit, shelf),
    )


@pages.post("order/{slug}", again=show_product, fields=_FIELDS)
async def order(visit: Visit) -> web.StreamResponse:
    """Book what the form says, once that has been shown with its price and is confirmed."""
    shelf, step = await _shelf(visit), visit.form.value("step")
    if step == "change":
        return await show_product(visit)
    booking = _booking(visit.form, shelf, await visit.core.networked_fleet(visit.calling))
    if step != "book":
        return await _ask(visit, shelf, booking)
    token = visit.form.text("token", what="nothing by hand: go back and review the order again")
    visit.form.require()
    placed = await visit.core.book(visit.calling, replace(booking, client_token=f"console-{token}"))
    done = "is booked" if placed.is_new else "was booked before, and once only"
    return visit.go(f"orders/{placed.order.id}", f"Order {placed.order.id} {done}.")


async def _ask(visit: Visit, shelf: Shelf, booking: Booking) -> web.StreamResponse:
    """Return the page that shows what is going to be booked. Its token makes two clicks book once."""
    form = visit.form
    return await visit.page(
        "order_review.html",
        booking=booking,
        image=dict(shelf.image_choices)[form.value("image", shelf.image_choices[0][0])],
        key=dict(shelf.key_choices)[form.value("key", shelf.key_choices[0][0])],
        term=dict(TERMS)[str(booking.term_hours)],
        groups=[each for each in shelf.groups if each.group.id in booking.group_ids],
        typed=[(name, value) for name in _TYPED for value in form.each(name)],
        token=secrets.token_urlsafe(_TOKEN_BYTES),
        **await _costs(visit, shelf),
    )


async def _shelf(visit: Visit) -> Shelf:
    fleet = await visit.core.networked_fleet(visit.calling)
    product = next((each for each in fleet.products() if each.slug == visit.variables["slug"]), None)
    if product is None:
        raise PageNotFound
    offer, keys = _offer(fleet, product), dict[str, list[str]]()
    for pair in fleet.key_pairs():
        keys.setdefault(pair.name, []).append(fleet.region(pair.region_id).name)
    here = {each.region.id for each in offer.stock}
    groups = [
        Group(group, region)
        for group in fleet.security_groups()
        if (region := fleet.region(fleet.network(group.network_id).region_id)).id in here
    ]
    return Shelf(offer, [image for image in fleet.images() if fits(image, product)], keys, groups)


# --- reading the form


def _booking(form: Form, shelf: Shelf, fleet: Fleet) -> Booking:
    """Return the booking that the form asks for.

    Raises:
        FormRefused: something in it is wrong.
    """
    zone, groups, key = _zone(form, shelf), _groups(form, shelf), _key(form, shelf)
    count = form.whole("count", 1, MOST_MACHINES, default=1)
    image = form.choice("image", dict(shelf.image_choices), next(iter(dict(shelf.image_choices)), ""))
    tags = _tags(form)
    options = replace(STANDARD_OPTIONS, hostname=_hostname(form, count))
    region = _region(form, zone, groups)
    booking = Booking(
        product_id=shelf.product.id,
        least=count,
        most=count,
        zone_id=zone.zone.id if zone else None,
        region_id=region.id if region else None,
        image_id=next((each.id for each in fleet.images() if each.name == image), None),
        key_name=key.removeprefix(_PAIR) if key.startswith(_PAIR) else "",
        wants_own_key=key == _NEW_KEY,
        wants_password=form.flag("password"),
        user_data=form.block("user_data", most=USER_DATA_LIMIT_BYTES).encode(),
        file_url=_url(form, "file_url"),
        script_url=_url(form, "script_url"),
        group_ids=tuple(each.group.id for each in groups),
        options=options,
        extra_addresses=form.whole("addresses", 0, MOST_EXTRA_ADDRESSES, default=0),
        term_hours=int(_term(form)),
        tags={ResourceKind.INSTANCE: tags} if tags else {},
    )
    form.require()
    return booking


def _zone(form: Form, shelf: Shelf) -> Stock | None:
    name = form.choice("zone", dict(shelf.zone_choices))
    return next((each for each in shelf.offer.stock if each.zone.name == name), None)


def _key(form: Form, shelf: Shelf) -> str:
    return form.choice("key", dict(shelf.key_choices), shelf.key_choices[0][0])


def _term(form: Form) -> str:
    term = form.choice("term", dict(TERMS), "1")
    return term if term in dict(TERMS) else "1"


def _groups(form: Form, shelf: Shelf) -> Sequence[Group]:
    by_id = {each.spelled: each for each in shelf.groups}
    asked = form.each("groups")
    if any(each not in by_id for each in asked):
        form.refuse("groups", "A security group that you ticked is not there any more; choose among these.")
    return [by_id[each] for each in asked if each in by_id]


def _region(form: Form, zone: Stock | None, groups: Sequence[Group]) -> Region | None:
    """Return the region that the groups keep the machines to; None for any."""
    regions = {each.region.id: each.region for each in groups}
    if len(regions) > 1:
        form.refuse("groups", "These security groups are in several regions; choose those of one.")
    region = next(iter(regions.values()), None)
    if zone is not None and region is not None and region.id != zone.region.id:
        form.refuse("groups", f"These groups are in {region.name} and {zone.zone.name} is in {zone.region.name}.")
    return region


def _hostname(form: Form, count: int) -> str:
    name = form.text("hostname", is_required=False)
    if name and count > 1:
        form.refuse("hostname", f"{count} machines cannot share a host name; leave it empty, and rename them later.")
    return form.parsed("hostname", checked_hostname, name, "") if name else ""


def _url(form: Form, name: str) -> str:
    url = form.text(name, most=LONGEST_URL, is_required=False)
    if url and not is_download(url):
        form.refuse(name, "Give an address that can be downloaded from, such as https://example.com/setup.sh.")
    return url


def _tags(form: Form) -> Mapping[str, str]:
    """Return the tags that are typed, one a line, and the name as the tag that EC2's clients show it by."""
    tags = {}
    form.block("tags", most=_LONGEST_TAGS * 4)
    for line in form.lines("tags", most=MOST_TAGS):
        key, is_pair, value = (part.strip() for part in line.partition("="))
        if not is_pair or not key:
            form.refuse("tags", f"{line!r} is no tag; write key=value, one a line.")
        tags[key] = value
    name = form.text("name", most=VALUE_LENGTH, is_required=False)
    return {**tags, "Name": name} if name else tags


# --- what it costs


@dataclass(frozen=True, slots=True)
class Quote:
    """What machines would cost together."""

    machines: int
    hourly: Decimal
    per_30_days: Decimal
    first_charge: Decimal
    term_hours: int


async def _costs(visit: Visit, shelf: Shelf) -> Mapping[str, object]:
    """Return what pages need to tell of costs: the quote for what the form says, and what may still be spent."""
    return {"shelf": shelf, "quote": _quote(visit.form, shelf.product), "left": await _left(visit, shelf.product)}


def _quote(form: Form, product: Product) -> Quote | None:
    """Return the quote; None where the form does not say how many."""
    said = Form([(name, form.value(name)) for name in ("count", "term")], is_sent=True)
    count, term = said.whole("count", 1, MOST_MACHINES, default=1), int(_term(said))
    if said.is_wrong:
        return None
    hourly = product.hourly_price * count
    return Quote(count, hourly, hourly * _MONTH_HOURS, first_charge(product.hourly_price, term, count), term)


async def _left(visit: Visit, product: Product) -> Decimal | None:
    """Return what may still be spent this month in the product's currency; None for as much as one likes."""
    most = (await visit.core.access.account(visit.calling)).most_to_spend
    if most is None:
        return None
    allowance = await visit.core.spending.limits(visit.calling)
    return max(Decimal(), most - allowance.spent.get(product.currency, Decimal()))
