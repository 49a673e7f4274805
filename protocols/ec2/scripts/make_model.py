# ruff: noqa: INP001  a script, never a package
"""Writes model.json and shapes.py, the actions of EC2 and STS that we serve, from botocore's models.

    python protocols/ec2/scripts/make_model.py

To serve one more action add its name to ACTIONS and run this again. The server needs neither this script nor botocore.
../model.py describes the form of model.json.
"""

import json
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import botocore
from botocore.loaders import Loader

ACTIONS = {
    ("ec2", "2016-11-15"): """
        RunInstances DescribeInstances DescribeInstanceStatus
        StartInstances StopInstances RebootInstances TerminateInstances
        DescribeInstanceAttribute ModifyInstanceAttribute ResetInstanceAttribute
        DescribeInstanceCreditSpecifications ModifyInstanceMetadataOptions MonitorInstances UnmonitorInstances
        GetConsoleOutput GetConsoleScreenshot GetPasswordData GetInstanceUefiData DescribeReservedInstances
        DescribeInstanceTypes DescribeInstanceTypeOfferings DescribeImages DescribeImageAttribute
        DescribeRegions DescribeAvailabilityZones DescribeAccountAttributes
        CreateKeyPair ImportKeyPair DescribeKeyPairs DeleteKeyPair
        CreateTags DeleteTags DescribeTags
        AllocateAddress AssociateAddress DisassociateAddress ReleaseAddress DescribeAddresses DescribeAddressesAttribute
        DescribeVpcs DescribeVpcAttribute DescribeSubnets
        DescribeRouteTables DescribeInternetGateways DescribeNetworkAcls
        DescribeNetworkInterfaces DescribeNetworkInterfaceAttribute ModifyNetworkInterfaceAttribute
        CreateSecurityGroup DeleteSecurityGroup DescribeSecurityGroups DescribeSecurityGroupRules
        AuthorizeSecurityGroupIngress AuthorizeSecurityGroupEgress
        RevokeSecurityGroupIngress RevokeSecurityGroupEgress ModifySecurityGroupRules
        UpdateSecurityGroupRuleDescriptionsIngress UpdateSecurityGroupRuleDescriptionsEgress
        DescribeVolumes DescribeVolumeStatus DescribeVolumeAttribute DeleteVolume
    """,
    ("sts", "2011-06-15"): "GetCallerIdentity GetSessionToken",
}

HERE = Path(__file__).parents[1]
SCALARS = {
    "string": "str",
    "integer": "int",
    "long": "int",
    "float": "float",
    "double": "float",
    "boolean": "bool",
    "timestamp": "datetime",
    "blob": "bytes",
}
# More values than this are a catalogue, which is ours to keep: InstanceType has 1,400.
ENUM_LIMIT = 100
# Traits that would change the encoding. None occurs in EC2 or STS; the day one does, the codec has to learn it.
REFUSED_TRAITS = ("flattened", "location", "timestampFormat", "xmlAttribute", "document", "jsonvalue", "streaming")


class UnsupportedModel(Exception):
    """The model uses something that the codec does not know."""


def main() -> None:
    """Write the three files beside this script's parent."""
    services = {
        name: compact(botocore_model(name, version), names.split()) for (name, version), names in ACTIONS.items()
    }
    (HERE / "model.json").write_text(render(services), "utf-8")
    (HERE / "shapes.py").write_text(typed_dicts(services), "utf-8")
    (HERE / "documented.py").write_text(documented_filters(), "utf-8")


def botocore_model(service: str, version: str) -> dict[str, Any]:
    """The service-2.json of the installed botocore."""
    return dict(Loader().load_service_model(service, "service-2", version))


def compact(service: Mapping[str, Any], actions: Iterable[str]) -> dict[str, Any]:
    """What model.json holds of one service: these actions and every shape that they reach.

    Raises:
        UnsupportedModel: a shape is of a kind, or has a trait, that the codec does not know.
    """
    operations = {name: service["operations"][name] for name in sorted(actions)}
    ends = {name: [op.get(end, {}).get("shape") for end in ("input", "output")] for name, op in operations.items()}
    compactor = Compactor(service)
    names = reached([end for pair in ends.values() for end in pair if end], compactor.inside)
    return {
        "source": f"botocore {botocore.__version__}",
        "protocol": service["metadata"]["protocol"],
        "version": service["metadata"]["apiVersion"],
        "namespace": namespace(service["metadata"]),
        "known": sorted(service["operations"]),
        "actions": ends,
        "shapes": {name: compactor.shape(name) for name in sorted(names) if not compactor.is_plain(name)},
    }


def namespace(metadata: Mapping[str, Any]) -> str:
    """The xmlns of a response. EC2 echoes the request's version, and sends a final slash that its model lacks."""
    uri = str(metadata.get("xmlNamespace", ""))
    if metadata["protocol"] == "ec2":
        uri = uri.replace(metadata["apiVersion"], "{version}")
    return uri.rstrip("/") + "/" if uri else ""


def reached(roots: Iterable[str], inside: Callable[[str], Iterable[str]]) -> set[str]:
    """The roots and every shape inside them, however deep."""
    found: set[str] = set()
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += inside(name)
    return found


class Compactor:
    """Rewrites shapes of one service into model.json's form."""

    def __init__(self, service: Mapping[str, Any]) -> None:
        self._shapes = service["shapes"]
        self._is_ec2 = service["metadata"]["protocol"] == "ec2"

    def inside(self, name: str) -> list[str]:
        """The names of the shapes directly inside this one."""
        shape = self._shapes[name]
        references = [*shape.get("members", {}).values(), *([shape["member"]] if "member" in shape else [])]
        return [reference["shape"] for reference in references]

    def is_plain(self, name: str) -> bool:
        """Whether the shape says nothing but its kind, so that references name the kind instead."""
        return self._shapes[name]["type"] in SCALARS and not self._limits(name)

    def shape(self, name: str) -> dict[str, Any]:
        """One entry of "shapes"."""
        shape = self._shapes[name]
        match shape["type"]:
            case "structure":
                members = {key: self._member(key, reference) for key, reference in shape["members"].items()}
                required = {"required": shape["required"]} if shape.get("required") else {}
                return {"members": members, **required}
            case "list":
                item = shape["member"]
                return {
                    "list": self._name(item["shape"]),
                    "item": item.get("locationName", "member"),
                    **self._limits(name),
                }
            case kind if kind in SCALARS:
                return {"type": kind, **self._limits(name)}
            case kind:
                raise UnsupportedModel(f"{name} is a {kind}")

    def _name(self, name: str) -> str:
        return str(self._shapes[name]["type"]) if self.is_plain(name) else name

    def _limits(self, name: str) -> dict[str, Any]:
        shape = self._shapes[name]
        limits = {key: shape[key] for key in ("min", "max") if key in shape}
        if 0 < len(shape.get("enum", ())) <= ENUM_LIMIT:
            limits["enum"] = shape["enum"]
        return limits

    def _member(self, name: str, reference: Mapping[str, Any]) -> str:
        # botocore lets a member inherit, and override, the traits of its shape.
        traits = {**self._shapes[reference["shape"]], **reference}
        if refused := [trait for trait in REFUSED_TRAITS if trait in traits]:
            raise UnsupportedModel(f"{name}: {', '.join(refused)}")
        element = traits.get("locationName", name)
        wire = self._wire_name(name, traits)
        words = [self._name(reference["shape"]), element, wire]
        if wire == capitalised(element):
            del words[2]
            if element == name:
                del words[1]
        return " ".join(words)

    def _wire_name(self, name: str, traits: Mapping[str, Any]) -> str:
        # Source: smithy, ec2Query's "query key resolution"; botocore, QuerySerializer.
        location = str(traits.get("locationName", name))
        return str(traits.get("queryName", capitalised(location))) if self._is_ec2 else location


def capitalised(name: str) -> str:
    """The name with its first letter in upper case."""
    return name[0].upper() + name[1:]


def render(services: Mapping[str, Any]) -> str:
    """model.json: one line per shape, so that a new botocore is a readable diff."""
    return braced({name: braced(service_entries(service)) for name, service in services.items()}) + "\n"


def service_entries(service: Mapping[str, Any]) -> dict[str, str]:
    """One service's entries as JSON, the long ones over several lines."""
    entries = {}
    for key, value in service.items():
        match value:
            case list():
                entries[key] = f"[\n{textwrap.fill(json.dumps(value)[1:-1], 118)}\n]"
            case dict():
                entries[key] = braced({name: json.dumps(entry) for name, entry in value.items()})
            case _:
                entries[key] = json.dumps(value)
    return entries


def braced(entries: Mapping[str, str]) -> str:
    """A JSON object of values that are JSON already, one a line."""
    lines = ",\n".join(f"{json.dumps(name)}: {entry}" for name, entry in entries.items())
    return f"{{\n{lines}\n}}"


HEADER = '''\
# ruff: noqa: D101 - generated: a class for each of AWS's shapes, documented there
"""The requests and results of the actions we serve, as types: for annotations only, import it under TYPE_CHECKING.

Generated from {source} by protocols/ec2/scripts/make_model.py; do not edit. Licence: see NOTICE.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import TypedDict

from protocols.ec2.encode import Fragment
'''


def typed_dicts(services: Mapping[str, Any]) -> str:
    """The text of shapes.py. A structure of a later service whose name is taken is prefixed with the service's."""
    taken: set[str] = set()
    parts = [HEADER.format(source=services["ec2"]["source"])]
    for title, service in services.items():
        structures = [name for name, shape in service["shapes"].items() if "members" in shape]
        names = {name: f"{title.capitalize()}{name}" if name in taken else name for name in structures}
        taken |= set(names.values())
        typist = Typist(service, names)
        parts += [typist.declaration(name) for name in structures]
    return "\n\n".join(parts)


class Typist:
    """Writes the TypedDicts of one service.

    What only results hold may be given loosely: any sequence for a list, a Fragment for a structure.
    """

    def __init__(self, service: Mapping[str, Any], names: Mapping[str, str]) -> None:
        self._shapes = service["shapes"]
        self._names = names
        inputs = [request for request, _ in service["actions"].values() if request]
        self._asked = reached(inputs, self._inside)

    def declaration(self, name: str) -> str:
        """One class."""
        is_asked = name in self._asked
        members = self._shapes[name]["members"]
        lines = [
            f"    {key}: {self._annotation(words.split()[0], is_asked=is_asked)}\n" for key, words in members.items()
        ]
        body = "".join(lines) or "    pass\n"
        return f"class {self._names[name]}(TypedDict, total=False):\n{body}"

    def _annotation(self, name: str, *, is_asked: bool) -> str:
        shape = self._shapes.get(name, {"type": name})
        if "members" in shape:
            return self._names[name] if is_asked else f"{self._names[name]} | Fragment"
        if "list" in shape:
            item = self._annotation(shape["list"], is_asked=is_asked)
            return f"list[{item}]" if is_asked else f"Sequence[{item}]"
        python = SCALARS[shape["type"]]
        return "float | Decimal" if python == "float" and not is_asked else python

    def _inside(self, name: str) -> list[str]:
        shape = self._shapes.get(name, {})
        members = [words.split()[0] for words in shape.get("members", {}).values()]
        return [*members, *([shape["list"]] if "list" in shape else [])]


FILTERS_HEADER = '''\
"""The filters that EC2 documents for each action that we serve; Terraform and others may ask for any of them.

Generated from {source} by protocols/ec2/scripts/make_model.py; do not edit. Licence: see NOTICE.
"""

FILTERS: dict[str, str] = {{
'''
# Documented as one of these, and asked for as tag:KEY.
TAG_FILTERS = frozenset({"tag", "tag:&lt;key&gt;", "tag:key"})
MARKS = re.compile(r"<(/?)ul>|<li>\s*<p>\s*<code>([^<]+)</code>")


def documented_filters() -> str:
    """The text of documented.py: for each action the names, with blanks between them."""
    [((name, version), actions)] = [entry for entry in ACTIONS.items() if entry[0][0] == "ec2"]
    service = botocore_model(name, version)
    lines = []
    for action in sorted(actions.split()):
        members = service["shapes"][service["operations"][action]["input"]["shape"]]["members"]
        text = next((members[key]["documentation"] for key in ("Filters", "Filter") if key in members), "")
        if found := listed_names(text):
            words = textwrap.wrap(
                " ".join(sorted(set(found) - TAG_FILTERS)), 100, break_on_hyphens=False, break_long_words=False
            )
            quoted = "\n".join(f'        "{line} "' for line in words[:-1]) + f'\n        "{words[-1]}"'
            lines.append(f'    "{action}": (\n{quoted.strip(chr(10))}\n    ),\n')
    return FILTERS_HEADER.format(source=f"botocore {botocore.__version__}") + "".join(lines) + "}\n"


def listed_names(text: str) -> list[str]:
    """The names that a documentation's list explains; lists within it are of their values."""
    names, depth = [], 0
    for closing, name in ((match[1], match[2]) for match in MARKS.finditer(text)):
        if name is None:
            depth += -1 if closing else 1
        elif depth == 1:
            names.append(name)
    return names


if __name__ == "__main__":
    main()
