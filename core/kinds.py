"""The kinds of things that a customer can call by an id, and put tags on."""

from enum import StrEnum


class ResourceKind(StrEnum):
    """What can be named and tagged. A machine's network interface and disk bear its number, as they are its own."""

    INSTANCE = "instance"
    ORDER = "order"
    IMAGE = "image"
    KEY_PAIR = "key-pair"
    NETWORK = "network"
    SUBNET = "subnet"
    ROUTE_TABLE = "route-table"
    GATEWAY = "internet-gateway"
    ACL = "network-acl"
    SECURITY_GROUP = "security-group"
    RULE = "security-group-rule"
    INTERFACE = "network-interface"
    DISK = "disk"
    ADDRESS = "address"


OF_A_MACHINE = frozenset({ResourceKind.INSTANCE, ResourceKind.INTERFACE, ResourceKind.DISK})
"""What bears the number of a machine."""

OF_A_NETWORK = frozenset({ResourceKind.NETWORK, ResourceKind.ROUTE_TABLE, ResourceKind.GATEWAY, ResourceKind.ACL})
"""What bears the number of a network: each has one of them."""
