"""Records for tests. Name only what matters to the test; the rest fits together by default."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from core.accounts import Account, ApiKey, Application, Caller, KeyUse, Protocol
from core.addresses import Address
from core.catalogue import Image, Product, Region, Zone
from core.disks import KeptDisk
from core.ids import (
    AccountId,
    AddressId,
    ApiKeyId,
    ApplicationId,
    ImageId,
    InstanceId,
    KeyPairId,
    NetworkId,
    OrderId,
    ProductId,
    RegionId,
    RuleId,
    SecurityGroupId,
    SignInId,
    SubnetId,
    UserId,
    ZoneId,
)
from core.instances import Instance, Power, ShutdownBehaviour, State, Wanted
from core.keypairs import KeyKind, KeyPair
from core.networks import Network, Subnet, hardware_address
from core.orders import Order
from core.people import SignIn, User
from core.ports import LaunchSpec
from core.securitygroups import Rule, SecurityGroup, Traffic
from core.state import Record
from core.tags import Resource, ResourceKind, TagSet
from tests.clocks import NOON

ACCOUNT = AccountId(100_000_000_001)

_OBSERVED = {
    State.PENDING: (Wanted.RUNNING, None),
    State.RUNNING: (Wanted.RUNNING, Power.RUNNING),
    State.STOPPING: (Wanted.STOPPED, Power.RUNNING),
    State.STOPPED: (Wanted.STOPPED, Power.STOPPED),
    State.SHUTTING_DOWN: (Wanted.TERMINATED, Power.RUNNING),
    State.TERMINATED: (Wanted.TERMINATED, Power.ABSENT),
}
_ENDED = {State.SHUTTING_DOWN, State.TERMINATED}


def an_instance(state: State = State.RUNNING, **changes: object) -> Instance:
    """Return a machine in a state, as its renter's verbs and the driver would have left it."""
    wanted, observed = _OBSERVED[state]
    instance = Instance(
        id=InstanceId(1),
        order_id=OrderId(1),
        account_id=ACCOUNT,
        product_id=ProductId(1),
        zone_id=ZoneId(1),
        image_id=ImageId(1),
        launch_index=0,
        hourly_price=Decimal("0.50"),
        ssh_port=20001,
        shutdown_behaviour=ShutdownBehaviour.STOP,
        launched_at=NOON,
        wanted=wanted,
        observed=observed,
        changed_at=None if wanted is Wanted.RUNNING else NOON,
        ended_at=NOON if state in _ENDED else None,
        terminated_at=NOON if state is State.TERMINATED else None,
    )
    return replace(instance, **changes)


def an_order(**changes: object) -> Order:
    """Return an order of the default account, made through EC2."""
    order = Order(
        id=OrderId(1),
        account_id=ACCOUNT,
        application_id=ApplicationId(1),
        protocol=Protocol.EC2,
        order_key="wc_order_1",
        product_id=ProductId(1),
        zone_id=ZoneId(1),
        image_id=ImageId(1),
        hourly_price=Decimal("0.50"),
        currency="USD",
        created_at=NOON,
    )
    return replace(order, **changes)


def a_product(**changes: object) -> Product:
    """Return a product of which ten fit into one zone."""
    product = Product(
        id=ProductId(1),
        slug="small",
        title="Small",
        description="A small machine",
        instance_type="small",
        hourly_price=Decimal("0.50"),
        currency="USD",
        attributes={},
        geo="europe",
        vcpus=1,
        memory_mib=1024,
        disk_gib=10,
        gpu=None,
        architecture="x86_64",
        image_id=ImageId(1),
        capacity={ZoneId(1): 10},
    )
    return replace(product, **changes)


def a_launch_spec(id: int = 1, **changes: object) -> LaunchSpec:  # noqa: A002  it is an id
    """Return what a small machine is to be made from."""
    spec = LaunchSpec(
        id=InstanceId(id),
        hostname=f"m{id}",
        image="debian-12",
        default_user="renter",
        vcpus=1,
        memory_mib=1024,
        disk_gib=10,
        ssh_port=20000 + id,
        private_address=f"10.1.{id >> 8 & 255}.{id & 255}",
        hardware_address=hardware_address(InstanceId(id)),
    )
    return replace(spec, **changes)


def an_account(**changes: object) -> Account:
    """Return the default account."""
    return replace(Account(ACCOUNT, "tests", NOON), **changes)


def an_application(**changes: object) -> Application:
    """Return an application of the default account that may be used from anywhere."""
    return replace(Application(ApplicationId(1), ACCOUNT, "default", (), is_enabled=True), **changes)


def an_api_key(**changes: object) -> ApiKey:
    """Return a key of the default application."""
    key = ApiKey(ApiKeyId(1), ApplicationId(1), "AKOFAAAAAAAAAAAAAAAA", "secret", NOON, is_enabled=True)
    return replace(key, **changes)


def a_key_use(**changes: object) -> KeyUse:
    """Return that the default key was used, through EC2."""
    return replace(KeyUse(ApiKeyId(1), NOON, "192.0.2.1", Protocol.EC2), **changes)


def a_user(**changes: object) -> User:
    """Return a person of the default account, without a password."""
    return replace(User(UserId(1), ACCOUNT, "ann@example.com", "", NOON), **changes)


def a_sign_in(**changes: object) -> SignIn:
    """Return the browser in which the default person is signed in."""
    sign_in = SignIn(SignInId(1), UserId(1), "digest", "192.0.2.1", "a browser", NOON, NOON, NOON + timedelta(hours=12))
    return replace(sign_in, **changes)


def a_region(**changes: object) -> Region:
    """Return the default region."""
    return replace(Region(RegionId(1), "eu-1", "europe"), **changes)


def a_zone(**changes: object) -> Zone:
    """Return the default zone."""
    return replace(Zone(ZoneId(1), "eu-1a", RegionId(1)), **changes)


def an_image(**changes: object) -> Image:
    """Return the default image."""
    image = Image(ImageId(1), "debian-12", "Debian 12", "", "x86_64", "linux", "renter", NOON)
    return replace(image, **changes)


def a_key_pair(**changes: object) -> KeyPair:
    """Return a key pair of the default account."""
    pair = KeyPair(
        KeyPairId(1), ACCOUNT, RegionId(1), "laptop", KeyKind.ED25519, "print=", "ssh-ed25519 AAAA laptop", NOON
    )
    return replace(pair, **changes)


def a_network(**changes: object) -> Network:
    """Return the default account's network in the default region."""
    return replace(Network(NetworkId(1), ACCOUNT, RegionId(1), "10.0.0.0/8", NOON), **changes)


def a_subnet(**changes: object) -> Subnet:
    """Return its subnet in the default zone."""
    return replace(Subnet(SubnetId(1), ACCOUNT, NetworkId(1), ZoneId(1), "10.1.0.0/16"), **changes)


def a_security_group(**changes: object) -> SecurityGroup:
    """Return the default group of the default network, which lets everyone in by ssh."""
    ssh = Traffic(is_egress=False, protocol="tcp", first_port=22, last_port=22, block="0.0.0.0/0")
    group = SecurityGroup(
        SecurityGroupId(1), ACCOUNT, NetworkId(1), "default", "the default", NOON, (Rule(RuleId(1), ssh, "ssh"),)
    )
    return replace(group, **changes)


def an_address(**changes: object) -> Address:
    """Return an address that the default account holds, bound to no machine."""
    return replace(Address(AddressId(1), ACCOUNT, ZoneId(1), "203.0.113.1", NOON), **changes)


def a_kept_disk(**changes: object) -> KeptDisk:
    """Return the disk of a machine that is gone."""
    return replace(KeptDisk(InstanceId(9), ACCOUNT, ZoneId(1), ImageId(1), 10, NOON), **changes)


def a_tag_set(kind: ResourceKind = ResourceKind.INSTANCE, id: int = 1, **values: str) -> TagSet:  # noqa: A002  it is an id
    """Return tags on something of the default account."""
    return TagSet(Resource(ACCOUNT, kind, id), values)


def a_world() -> list[Record]:
    """Return one record of each kind, parents first, that fit together."""
    return [
        an_account(),
        an_application(),
        an_api_key(),
        a_key_use(),
        a_user(),
        a_sign_in(),
        a_region(),
        a_zone(),
        an_image(),
        a_product(),
        a_key_pair(),
        a_network(),
        a_subnet(),
        a_security_group(),
        an_order(),
        an_instance(),
        an_address(),
        a_kept_disk(),
        a_tag_set(role="web"),
    ]


def a_caller(**changes: object) -> Caller:
    """Return the default account as it calls through EC2."""
    return replace(Caller(ACCOUNT, ApplicationId(1), "AKOFAAAAAAAAAAAAAAAA", Protocol.EC2), **changes)
