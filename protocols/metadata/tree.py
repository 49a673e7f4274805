"""A machine as the folders and files of EC2's instance metadata."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from core.networks import hardware_address
from core.service import SelfView
from core.tags import ResourceKind
from protocols import ids

VERSIONS = (
    "1.0",
    "2007-01-19",
    "2007-03-01",
    "2007-08-29",
    "2007-10-10",
    "2007-12-15",
    "2008-02-01",
    "2008-09-01",
    "2009-04-04",
    "2011-01-01",
    "2011-05-01",
    "2012-01-12",
    "2014-02-25",
    "2014-11-05",
    "2015-10-20",
    "2016-04-19",
    "2016-06-30",
    "2016-09-02",
    "2018-03-28",
    "2018-08-17",
    "2018-09-24",
    "2019-10-01",
    "2020-10-27",
    "2021-01-03",
    "2021-03-23",
    "2021-07-15",
    "2022-07-09",
    "2022-09-24",
    "2024-04-11",
    "latest",
)
"""What EC2's own service lists. Every version has the same tree here: the newer ones only ever added to it."""

USER_DATA = "user-data"

_DOCUMENT_VERSION = "2017-09-30"  # Source: EC2 user guide, instance identity documents.
_UNSPEAKABLE_TAGS = frozenset({".", "..", "_index"})


@dataclass(frozen=True, slots=True)
class Folder:
    """What has entries. `labels` are what entries are called in its listing, where that is not their name."""

    entries: Mapping[str, Folder | str]
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def listing(self) -> str:
        """The entries, one a line and in order; a folder's ends in a slash."""
        return "\n".join(self._label(name) for name in sorted(self.entries))

    def _label(self, name: str) -> str:
        mark = "/" if isinstance(self.entries[name], Folder) else ""
        return self.labels.get(name, name + mark)


def tree_of(view: SelfView, domain: str) -> Folder:
    """Return all that the machine can be told; its user data is only named. `domain` is where the house answers."""
    version = _version(view, domain)
    return Folder(dict.fromkeys(VERSIONS, version), labels={name: name for name in VERSIONS})


def find(tree: Folder, path: Sequence[str]) -> Folder | str | None:
    """Return what is at a path, or None for nothing."""
    found: Folder | str | None = tree
    for name in path:
        found = found.entries.get(name) if isinstance(found, Folder) else None
    return found


def _version(view: SelfView, domain: str) -> Folder:
    entries = {
        "dynamic": Folder({"instance-identity": Folder({"document": _document(view)})}),
        "meta-data": _metadata(view, domain),
        USER_DATA: "-" if view.has_user_data else "",
    }
    # Here, and in the list of versions, EC2 does not mark its folders. Source: EC2 user guide, examples of retrieval.
    return Folder(_present(entries), labels={name: name for name in entries})


def _metadata(view: SelfView, domain: str) -> Folder:
    instance, order = view.instance, view.order
    mac = hardware_address(instance.id)
    return Folder(
        _present(
            {
                "ami-id": ids.image_id(view.image.id),
                "ami-launch-index": str(instance.launch_index),
                "ami-manifest-path": "(unknown)",
                "block-device-mapping": Folder({"ami": ids.ROOT_DEVICE, "root": ids.ROOT_DEVICE}),
                "hostname": instance.hostname,
                "instance-action": "none",
                "instance-id": ids.instance_id(instance.id),
                "instance-life-cycle": "on-demand",
                "instance-type": view.product.instance_type,
                "local-hostname": instance.hostname,
                "local-ipv4": instance.private_address,
                "mac": mac,
                "network": Folder({"interfaces": Folder({"macs": Folder({mac: _interface(view)})})}),
                "placement": Folder({"availability-zone": view.zone.name, "region": view.region.name}),
                "profile": "default-hvm",
                "public-ipv4": view.public_address,
                "public-keys": _public_keys(view),
                "reservation-id": ids.reservation_id(order.id),
                "security-groups": _lines(group.name for group in view.groups),
                "services": Folder(_present({"domain": domain, "partition": "aws"})),
                "tags": _tags(view),
            }
        )
    )


def _interface(view: SelfView) -> Folder:
    instance, address = view.instance, view.public_address
    return Folder(
        _present(
            {
                "device-number": "0",
                "interface-id": ids.spell(ResourceKind.INTERFACE, instance.id),
                "ipv4-associations": Folder(_present({address: instance.private_address} if address else {})),
                "local-hostname": instance.hostname,
                "local-ipv4s": instance.private_address,
                "mac": hardware_address(instance.id),
                "owner-id": ids.owner_id(instance.account_id),
                "public-ipv4s": address,
                "security-group-ids": _lines(ids.spell(ResourceKind.SECURITY_GROUP, group.id) for group in view.groups),
                "security-groups": _lines(group.name for group in view.groups),
                "subnet-id": ids.spell(ResourceKind.SUBNET, view.subnet.id),
                "subnet-ipv4-cidr-block": view.subnet.block,
                "vpc-id": ids.spell(ResourceKind.NETWORK, view.network.id),
                "vpc-ipv4-cidr-block": view.network.block,
                "vpc-ipv4-cidr-blocks": view.network.block,
            }
        )
    )


def _public_keys(view: SelfView) -> Folder:
    order = view.order
    if not order.public_key:
        return Folder({})
    name = order.key_name or f"order-{order.id}"
    return Folder({"0": Folder({"openssh-key": order.public_key})}, labels={"0": f"0={name}"})


def _tags(view: SelfView) -> Folder:
    """Return the tags that the renter shows to the machine; those that no path can name are left out, as in EC2."""
    if not view.instance.options.metadata.shows_tags:
        return Folder({})
    shown = {key: value for key, value in view.tags.items() if "/" not in key and key not in _UNSPEAKABLE_TAGS}
    return Folder(_present({"instance": Folder(shown)}))


def _document(view: SelfView) -> str:
    """Return the identity document, laid out as EC2's: scripts cut it up by line and quotation mark."""
    instance = view.instance
    document = {
        "accountId": ids.owner_id(instance.account_id),
        "architecture": view.image.architecture,
        "availabilityZone": view.zone.name,
        "billingProducts": None,
        "devpayProductCodes": None,
        "marketplaceProductCodes": None,
        "imageId": ids.image_id(view.image.id),
        "instanceId": ids.instance_id(instance.id),
        "instanceType": view.product.instance_type,
        "kernelId": None,
        "pendingTime": f"{instance.launched_at:%Y-%m-%dT%H:%M:%SZ}",
        "privateIp": instance.private_address or None,
        "ramdiskId": None,
        "region": view.region.name,
        "version": _DOCUMENT_VERSION,
    }
    return json.dumps(document, indent=2, separators=(",", " : "))


def _lines(texts: Iterable[str]) -> str:
    return "\n".join(texts)


def _present(entries: Mapping[str, Folder | str]) -> Mapping[str, Folder | str]:
    """Return the entries without those that are empty."""
    return {name: entry for name, entry in entries.items() if (entry.entries if isinstance(entry, Folder) else entry)}
