"""A small scene in which one request of every action succeeds, and so does the next one in the order of `GOOD`."""

from core.instances import Power
from core.orders import Booking
from core.tags import Resource, ResourceKind
from tests.fleetfixture import House

MACHINE, PAIR, IMAGE = "i-00000000000000001", "key-00000000000000001", "ami-00000000000000001"
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFrlTFuMjLGJ9l6tUoVYBUlNQgiGF14UqrI2lTqkPJxA mine"
MATERIAL = (
    "c3NoLWVkMjU1MTkgQUFBQUMzTnphQzFsWkRJMU5URTVBQUFBSUZybFRGdU1qTEdKOWw2dFVvVllCVWxOUWdpR0YxNFVxckkybFRxa1BKeEE="
)

GOOD = {
    "RunInstances": {"ImageId": IMAGE, "InstanceType": "plain", "MinCount": "1", "MaxCount": "2", "KeyName": "mine"},
    "DescribeInstances": {},
    "DescribeInstanceStatus": {},
    "StartInstances": {"InstanceId.1": MACHINE},
    "RebootInstances": {"InstanceId.1": MACHINE},
    "StopInstances": {"InstanceId.1": MACHINE},
    "TerminateInstances": {"InstanceId.1": MACHINE},
    "DescribeInstanceTypes": {},
    "DescribeImages": {},
    "DescribeRegions": {},
    "DescribeAvailabilityZones": {},
    "CreateKeyPair": {"KeyName": "new", "KeyType": "ed25519"},
    "ImportKeyPair": {"KeyName": "brought", "PublicKeyMaterial": MATERIAL},
    "DescribeKeyPairs": {},
    "DeleteKeyPair": {"KeyName": "mine"},
    "CreateTags": {"ResourceId.1": MACHINE, "Tag.1.Key": "new", "Tag.1.Value": "v"},
    "DeleteTags": {"ResourceId.1": MACHINE, "Tag.1.Key": "ours-key"},
    "DescribeTags": {},
    "GetCallerIdentity": {},
    "GetSessionToken": {},
}
STS = {"GetCallerIdentity", "GetSessionToken"}


async def set_stage(house: House) -> None:
    """Let our account have a key pair, a machine that runs and is opened by it, and tags on these and on an image."""
    core, caller = house.core, house.caller()
    await core.import_key_pair(caller, "mine", PUBLIC_KEY.encode(), {"ours-key": "ours-value"})
    product = await house.product("plain")
    await core.book(
        caller,
        Booking(
            product.id,
            key_name="mine",
            client_token="ours-token",
            tags={ResourceKind.INSTANCE: {"ours-key": "ours-value"}},
        ),
    )
    await core.tag(caller, [Resource(caller.account_id, ResourceKind.IMAGE, 1)], {"ours-key": "ours-value"})
    await house.seen(Power.RUNNING, private_address="10.0.0.1", public_address="192.0.2.1")


async def rows(house: House) -> dict[str, object]:
    """Return every record of the house, to be compared before and after."""
    state = await house.store.view()
    tables = ("accounts", "applications", "keys", "key_pairs", "orders", "instances", "tag_sets")
    return {name: dict(getattr(state, name)) for name in tables}
