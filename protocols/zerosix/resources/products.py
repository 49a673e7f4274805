"""What can be rented: the list, its filters, and one product."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from core.catalogue import Product
from core.shopping import GEO, Demand, Filter, Relation
from protocols.zerosix import encode, schemas
from protocols.zerosix.auth import authenticated
from protocols.zerosix.errors import (
    CROSSED_PRICES,
    INVALID_ATTRIBUTE,
    INVALID_PRICES,
    INVALID_RELATION,
    UNKNOWN_PRODUCT,
    Refusal,
)
from protocols.zerosix.pages import PAGE_HEADERS, PAGING, cut
from protocols.zerosix.parameters import (
    Kind,
    Parameter,
    Schema,
    Unfit,
    Values,
    choice,
    list_of,
    number,
    whole_number,
    words,
)
from protocols.zerosix.routes import Answer, Call, Result, Route
from protocols.zerosix.settings import GEOS, ZeroSixSettings

_TEMPLATE = "products"
_RELATIONS = {"greater": Relation.AT_LEAST, "less": Relation.AT_MOST, "equal": Relation.EXACTLY}
_KEYS: Mapping[str, Callable[[Product], Any]] = {
    "menu_order": lambda _: 0,  # the operator's, in which products come
    "id": lambda product: product.id,
    "title": lambda product: product.title.casefold(),
    "slug": lambda product: product.slug,
    "price": lambda product: product.hourly_price,
    "include": lambda _: 0,  # without that parameter
}


def _read_attributes(value: object, settings: ZeroSixSettings) -> Mapping[str, str]:
    if value == []:  # PHP's empty array
        return {}
    if not isinstance(value, dict):
        raise Unfit("rest_invalid_type", "is not of type object.")
    wanted = {name: value for name, value in value.items() if value is not None}
    known = _attribute_values(settings)
    for name, wish in wanted.items():
        if wish not in known.get(name, ()):
            raise Unfit("rest_not_in_enum", "are not in the table.", {"params": {ATTRIBUTES.name: name}})
    return wanted


def _attributes_schema(settings: ZeroSixSettings) -> Schema:
    values = _attribute_values(settings)
    return {
        "type": "object",
        "properties": {name: {"type": "string", "enum": list(words)} for name, words in values.items()},
        "additionalProperties": False,
    }


def _attribute_values(settings: ZeroSixSettings) -> Mapping[str, Sequence[str]]:
    return {**settings.ranks, GEO: GEOS}


# --- what a list takes

RELATION = Parameter(
    "relation",
    choice(*_RELATIONS),
    "Relation of the attributes: greater and less include what is equal.",
    default="equal",
    fault=INVALID_RELATION,
)
MIN_PRICE = Parameter("min_price", number(), "Minimum hourly-price per product.", fault=INVALID_PRICES)
MAX_PRICE = Parameter("max_price", number(), "Maximum hourly-price per product.", fault=INVALID_PRICES)
ATTRIBUTES = Parameter(
    "attributes",
    Kind(_read_attributes, _attributes_schema),
    "The required attributes. They have ranks, in the order listed; a place has none, and global is in every place.",
    fault=INVALID_ATTRIBUTE,
)
INCLUDE = Parameter("include", list_of(whole_number(1)), "Limit the list to these products.")
EXCLUDE = Parameter("exclude", list_of(whole_number(1)), "Leave these products out.")
SEARCH = Parameter("search", words(), "Limit the list to products with this in their title, slug or description.")
ORDER = Parameter("order", choice("asc", "desc"), "Order of the list, ascending or descending.", default="asc")
ORDER_BY = Parameter(
    "orderby",
    choice(*_KEYS),
    "What the list is ordered by: menu_order is the operator's order, include that of the parameter.",
    default="menu_order",
)
LISTING = (RELATION, MIN_PRICE, MAX_PRICE, ATTRIBUTES, INCLUDE, EXCLUDE, SEARCH, ORDER, ORDER_BY, *PAGING)

PRODUCT_ID = Parameter("id", whole_number(1), "Unique identifier for the product.", fault=UNKNOWN_PRODUCT)


def read_filter(values: Values) -> Filter:
    """Return the filter that a request asks for.

    Raises:
        Refusal: the lowest price is above the highest.
    """
    least, most = values.get(MIN_PRICE), values.get(MAX_PRICE)
    if least is not None and most is not None and least > most:
        raise Refusal(CROSSED_PRICES)
    relation, wanted = _RELATIONS[values[RELATION]], values.get(ATTRIBUTES) or {}
    return Filter({name: Demand(value, relation) for name, value in wanted.items()}, least, most)


async def _list(call: Call) -> Answer:
    chosen, values = read_filter(call.values), call.values
    fleet = await call.core.fleet(call.caller)
    found = [product for product in fleet.products() if chosen.admits(product, call.settings.ranks)]
    products, headers = cut(call, _ordered(_filtered(found, values), values), _TEMPLATE)
    return Answer([encode.product(product) for product in products], headers=headers)


async def _retrieve(call: Call) -> Answer:
    wanted = _product_id(call)
    fleet = await call.core.fleet(call.caller)
    for product in fleet.products():
        if product.id == wanted:
            return Answer(encode.product(product))
    raise Refusal(UNKNOWN_PRODUCT)


def _product_id(call: Call) -> int:
    return PRODUCT_ID.read(call.name, call.settings)


# --- choosing and ordering


def _mentions(product: Product, wanted: str) -> bool:
    return wanted in f"{product.title} {product.slug} {product.description}".casefold()


_FILTERS: Mapping[Parameter[Any], Callable[[Product, Any], bool]] = {
    INCLUDE: lambda product, ids: product.id in ids,
    EXCLUDE: lambda product, ids: product.id not in ids,
    SEARCH: _mentions,
}


def _filtered(products: Sequence[Product], values: Values) -> Sequence[Product]:
    asked = [(admits, wanted) for parameter, admits in _FILTERS.items() if (wanted := values.get(parameter))]
    return [product for product in products if all(admits(product, wanted) for admits, wanted in asked)]


def _ordered(products: Sequence[Product], values: Values) -> Sequence[Product]:
    places = values.get(INCLUDE)
    if values[ORDER_BY] == "include" and places:
        return sorted(products, key=lambda product: places[product.id])
    ordered = sorted(products, key=_KEYS[values[ORDER_BY]])
    return ordered if values[ORDER] == "asc" else ordered[::-1]


ROUTES = (
    Route(
        _TEMPLATE,
        GET=authenticated(
            _list,
            "listProducts",
            "List what can be rented",
            takes=LISTING,
            gives=Result("The products.", schemas.PRODUCTS, headers=PAGE_HEADERS),
            faults=(CROSSED_PRICES,),
        ),
    ),
    Route(
        f"{_TEMPLATE}/{{id}}",
        PRODUCT_ID,
        GET=authenticated(
            _retrieve, "retrieveProduct", "Retrieve a product", gives=Result("The product.", schemas.PRODUCT)
        ),
    ),
)
