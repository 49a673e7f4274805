"""What one account can see of the state: the catalogue, and its own orders, machines, key pairs and tags."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from core.catalogue import Image, Product, Region, Zone
from core.errors import CoreError, UnknownImage, UnknownInstances, UnknownKeyPairs, UnknownOrder
from core.ids import AccountId, ImageId, InstanceId, OrderId, ProductId, ZoneId
from core.instances import Instance
from core.keypairs import KeyPair
from core.orders import Order
from core.state import State
from core.tags import Resource, ResourceKind, TagSet

_UNKNOWN: Mapping[ResourceKind, Callable[[int], CoreError]] = {
    ResourceKind.INSTANCE: lambda number: UnknownInstances([InstanceId(number)]),
    ResourceKind.ORDER: lambda number: UnknownOrder(str(number)),
    ResourceKind.IMAGE: lambda number: UnknownImage(str(number)),
    ResourceKind.KEY_PAIR: lambda number: UnknownKeyPairs([str(number)], by_id=True),
}


class Fleet:
    """A view of the state through one account's eyes, at one moment. Read it before awaiting anything else."""

    def __init__(self, state: State, account_id: AccountId, now: datetime) -> None:
        self._state = state
        self.account_id = account_id
        self.now = now

    @property
    def revision(self) -> int:
        """The number of commits that the view includes; equal revisions show equal rows."""
        return self._state.revision

    # --- the catalogue

    def regions(self) -> Sequence[Region]:
        """Return the regions in the order in which they were first configured."""
        return [region for region in self._state.regions.values() if not region.is_retired]

    def zones(self) -> Sequence[Zone]:
        """Return the zones in the order in which they were first configured."""
        return [zone for zone in self._state.zones.values() if not zone.is_retired]

    def images(self) -> Sequence[Image]:
        """Return the images in the order in which they were first configured."""
        return [image for image in self._state.images.values() if not image.is_retired]

    def products(self) -> Sequence[Product]:
        """Return the products that can be booked, in the order in which they were first configured."""
        return [product for product in self._state.products.values() if not product.is_retired]

    def product(self, product_id: ProductId) -> Product:
        """Return a product, also a retired one. The id must come from a row."""
        return self._state.products[product_id]

    def zone(self, zone_id: ZoneId) -> Zone:
        """Return a zone, also a retired one. The id must come from a row."""
        return self._state.zones[zone_id]

    def region_of(self, zone_id: ZoneId) -> Region:
        """Return the region of a zone. The id must come from a row."""
        return self._state.regions[self._state.zones[zone_id].region_id]

    def image(self, image_id: ImageId) -> Image:
        """Return an image, also a retired one. The id must come from a row."""
        return self._state.images[image_id]

    def free(self, product: Product, zone_id: ZoneId) -> int:
        """Return how many more machines of the product can be booked in the zone."""
        return max(0, self._state.free(product, zone_id))

    # --- what is booked

    def instances(self) -> Iterable[Instance]:
        """Return the machines in order of id: those that live and those that ended within the hour."""
        mine = self._state.instances_of.get(self.account_id, {})
        return (instance for instance in mine.values() if instance.is_visible(self.now))

    def instances_by_id(self, ids: Sequence[InstanceId]) -> Sequence[Instance]:
        """Return the machines in the order asked for.

        Raises:
            UnknownInstances: some do not exist, are another's, or ended more than an hour ago. It names all of these.
        """
        mine = self._state.instances_of.get(self.account_id, {})
        found = [mine.get(wanted) for wanted in ids]
        visible = [instance for instance in found if instance is not None and instance.is_visible(self.now)]
        if len(visible) < len(ids):
            known = {instance.id for instance in visible}
            raise UnknownInstances([wanted for wanted in ids if wanted not in known])
        return visible

    def order(self, order_id: OrderId) -> Order:
        """Return the order of a machine. The id must come from a row."""
        return self._state.orders[order_id]

    def machines(self, order_id: OrderId) -> Sequence[Instance]:
        """Return all machines of an order, in launch order. The id must come from a row."""
        return list(self._state.machines_of[order_id].values())

    # --- key pairs and tags

    def key_pairs(self) -> Sequence[KeyPair]:
        """Return the key pairs in order of id."""
        return sorted(self._state.key_pairs_of.get(self.account_id, {}).values(), key=lambda pair: pair.id)

    def tags(self, kind: ResourceKind, id: int) -> Mapping[str, str]:  # noqa: A002  it is an id
        """Return the account's tags on a thing; the same object as long as they are unchanged."""
        return self._state.tags_of(Resource(self.account_id, kind, id))

    def tag_sets(self) -> Sequence[TagSet]:
        """Return all tags of the account on things that can still be seen, by kind and id."""
        own = self._state.tag_sets_of.get(self.account_id, {}).values()
        mine = [tags for tags in own if tags.values and self._is_visible(tags.resource)]
        return sorted(mine, key=lambda tags: (tags.resource.kind, tags.resource.id))

    def has(self, kind: ResourceKind, id: int) -> bool:  # noqa: A002  it is an id
        """Whether the account can see a thing of this kind and id."""
        return self._is_visible(Resource(self.account_id, kind, id))

    def require(self, resource: Resource) -> None:
        """Return if the resource is the account's to tag, and can be seen.

        Raises:
            UnknownInstances, UnknownOrder, UnknownImage, UnknownKeyPairs: it is not.
        """
        if resource.account_id != self.account_id or not self._is_visible(resource):
            raise _UNKNOWN[resource.kind](resource.id)

    def _is_visible(self, resource: Resource) -> bool:
        state = self._state
        if resource.kind is ResourceKind.IMAGE:
            image = state.images.get(ImageId(resource.id))
            return image is not None and not image.is_retired
        if resource.kind is ResourceKind.INSTANCE:
            instance = state.instances.get(InstanceId(resource.id))
            return instance is not None and self._owns(instance) and instance.is_visible(self.now)
        table: Mapping[int, KeyPair | Order] = (
            state.key_pairs if resource.kind is ResourceKind.KEY_PAIR else state.orders  # type: ignore[assignment]  # NewType keys are ints
        )
        found = table.get(resource.id)
        return found is not None and self._owns(found)

    def _owns(self, record: Instance | KeyPair | Order) -> bool:
        return record.account_id == self.account_id
