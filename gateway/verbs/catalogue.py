"""Verbs about what is sold."""

from collections.abc import Mapping
from dataclasses import asdict

from core.catalogue import Product, Zone
from core.errors import UnknownProduct
from core.ids import ZoneId
from core.state import State
from gateway.control import Arguments, Document
from gateway.office import Office, Verb


async def _list_products(office: Office, _: Arguments) -> Document:
    state = await office.store.view()
    return [_product(state, product) for product in state.products.values() if not product.is_retired]


async def _show_product(office: Office, said: Arguments) -> Document:
    state, name = await office.store.view(), said["product"]
    found = [each for each in state.products.values() if name in (each.slug, each.instance_type)]
    if not found:
        raise UnknownProduct(name)
    return _product(state, min(found, key=lambda product: product.is_retired))


async def _list_zones(office: Office, _: Arguments) -> Document:
    state = await office.store.view()
    return [_zone(state, zone) for zone in state.zones.values() if not zone.is_retired]


def _product(state: State, product: Product) -> Document:
    zones = [{"zone": state.zones[zone_id].name, **_stock(state, product, zone_id)} for zone_id in product.capacity]
    return {
        "product": product.slug,
        "instance_type": product.instance_type,
        "title": product.title,
        "description": product.description,
        "hourly_price": str(product.hourly_price),
        "currency": product.currency,
        "vcpus": product.vcpus,
        "memory_mib": product.memory_mib,
        "disk_gib": product.disk_gib,
        "gpu": asdict(product.gpu) if product.gpu else None,
        "architecture": product.architecture,
        "image": state.images[product.image_id].name,
        "attributes": {**product.attributes, "geo": product.geo},
        "has_metadata": product.has_metadata,
        "is_retired": product.is_retired,
        "zones": zones,
        **{word: sum(zone[word] for zone in zones) for word in ("capacity", "taken", "free")},
    }


def _zone(state: State, zone: Zone) -> Document:
    region = state.regions[zone.region_id]
    sold = [each for each in state.products.values() if zone.id in each.capacity and not each.is_retired]
    return {
        "zone": zone.name,
        "region": region.name,
        "geo": region.geo,
        "state": "open" if zone.is_available else "closed",
        "products": [{"product": product.slug, **_stock(state, product, zone.id)} for product in sold],
    }


def _stock(state: State, product: Product, zone_id: ZoneId) -> dict[str, int]:
    return {
        "capacity": product.capacity[zone_id],
        "taken": state.occupied[product.id, zone_id],
        "free": max(0, state.free(product, zone_id)),
    }


VERBS: Mapping[str, Verb] = {
    "product list": _list_products,
    "product show": _show_product,
    "zone list": _list_zones,
}
