"""How EC2 spells what core numbers: a prefix and seventeen hex digits of the row's id."""

from core.ids import AccountId, AssociationId, ImageId, InstanceId, KeyPairId, OrderId
from core.tags import ResourceKind

PREFIXES = {
    ResourceKind.INSTANCE: "i-",
    ResourceKind.IMAGE: "ami-",
    ResourceKind.KEY_PAIR: "key-",
    ResourceKind.ORDER: "r-",
    ResourceKind.NETWORK: "vpc-",
    ResourceKind.SUBNET: "subnet-",
    ResourceKind.ROUTE_TABLE: "rtb-",
    ResourceKind.GATEWAY: "igw-",
    ResourceKind.ACL: "acl-",
    ResourceKind.SECURITY_GROUP: "sg-",
    ResourceKind.RULE: "sgr-",
    ResourceKind.INTERFACE: "eni-",
    ResourceKind.DISK: "vol-",
    ResourceKind.ADDRESS: "eipalloc-",
}

ATTACHMENT, ASSOCIATION = "eni-attach-", "eipassoc-"
"""What is no thing of its own: the attachment of a machine's interface, the binding of an address."""

ROOT_DEVICE = "/dev/sda1"
"""What the disk that a machine boots from is called, whatever its system calls it."""


def spell(kind: ResourceKind, number: int) -> str:
    """Return the id as EC2 writes it."""
    return f"{PREFIXES[kind]}{number:017x}"


def instance_id(number: InstanceId) -> str:
    """Return an instance's id as EC2 writes it."""
    return f"i-{number:017x}"


def reservation_id(number: OrderId) -> str:
    """Return an order's id as EC2 writes its reservation."""
    return f"r-{number:017x}"


def image_id(number: ImageId) -> str:
    """Return an image's id as EC2 writes it."""
    return f"ami-{number:017x}"


def key_pair_id(number: KeyPairId) -> str:
    """Return a key pair's id as EC2 writes it."""
    return f"key-{number:017x}"


def association_id(number: AssociationId) -> str:
    """Return the id of an address's binding as EC2 writes it."""
    return f"{ASSOCIATION}{number:017x}"


def owner_id(number: AccountId) -> str:
    """Return an account's id as EC2 writes owners: twelve digits."""
    return f"{number:012d}"
