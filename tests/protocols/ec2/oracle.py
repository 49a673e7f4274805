"""botocore as the other side of the wire: it serialises what we decode, and parses what we encode."""

import copy
import json
import re
from datetime import UTC, datetime
from functools import cache
from urllib.parse import urlencode

from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from botocore.utils import parse_timestamp
from hypothesis import strategies as st
from lxml import etree

from protocols.ec2 import model
from protocols.ec2.decode import Decoder, parse_form
from protocols.ec2.encode import Encoder
from protocols.ec2.scripts.make_model import REFUSED_TRAITS, compact
from tests.vectors import VECTORS

VERSIONS = {"ec2": "2016-11-15", "sts": "2011-06-15"}
MODELS = model.load()
ACTIONS = [(service, action) for service, ours in MODELS.items() for action in ours.actions]
REQUEST_ID = "d15d204f-fc31-4600-85d3-5c86e5483b92"


@cache
def service_model(service):
    return ServiceModel(Loader().load_service_model(service, "service-2", VERSIONS[service]), service)


def operation(service, action):
    return service_model(service).operation_model(action)


@cache
def whole(service):
    """The model of all of AWS's actions, as the script would make it."""
    aws = Loader().load_service_model(service, "service-2", VERSIONS[service])
    return model.build(compact(aws, aws["operations"]))


def serialized(operation_model, request):
    """The form that botocore sends."""
    serializer = create_serializer(operation_model.service_model.protocol, include_validation=False)
    return urlencode(serializer.serialize_to_request(request, operation_model)["body"])


def parsed(operation_model, document):
    """The result that botocore reads, without what it adds."""
    parser = create_parser(operation_model.service_model.protocol)
    response = {"body": document, "headers": {}, "status_code": 200}
    result = parser.parse(response, operation_model.output_shape)
    del result["ResponseMetadata"]
    return result


def typed(value, shape):
    """A JSON value as boto3 would take or give it: times, bytes and the special floats."""
    match shape.type_name:
        case "structure":
            return {key: typed(item, shape.members[key]) for key, item in value.items() if key in shape.members}
        case "list":
            return [typed(item, shape.member) for item in value]
        case "timestamp":
            return (
                parse_timestamp(value).astimezone(UTC) if isinstance(value, str) else datetime.fromtimestamp(value, UTC)
            )
        case "blob":
            return value.encode()
        case "float" | "double":
            return float(value)
        case "integer" | "long":  # one of AWS's examples has "100"
            return int(value)
        case "boolean":  # and one has "false"
            return value in (True, "true")
    return value


def comparable(value):
    """Equal for equal values, NaN too; times to the millisecond, in UTC."""
    if isinstance(value, dict):
        return {key: comparable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [comparable(item) for item in value]
    if isinstance(value, float):
        return repr(value)
    return value.astimezone(UTC).isoformat(timespec="milliseconds") if isinstance(value, datetime) else value


def without_empty(value):
    """What EC2's serialiser sends of a request: no empty list, and no structure without members."""
    if isinstance(value, dict):
        items = {key: without_empty(item) for key, item in value.items()}
        return {key: item for key, item in items.items() if item not in ({}, [])}
    return [without_empty(item) for item in value] if isinstance(value, list) else value


def without_empty_lists_besides(result, expected):
    """A result without the empty lists at its top that were not asked for: we always write those."""
    return {key: value for key, value in result.items() if value != [] or key in expected}


class Suite:
    """One file's suite of protocol tests, with the model that it carries, less what EC2 and STS do not use."""

    def __init__(self, suite):
        self.description = suite["description"]
        self.cases = suite["cases"]
        operations = {case["given"]["name"]: copy.deepcopy(case["given"]) for case in self.cases}
        metadata = {"apiVersion": "2014-01-01", **suite["metadata"]}
        for name, operation_ in operations.items():
            if metadata["protocol"] == "query" and "output" in operation_:
                operation_["output"].setdefault("resultWrapper", f"{name}Result")
        self.service = {"metadata": metadata, "operations": operations, "shapes": _supported(suite["shapes"])}

    def operation(self, case):
        return ServiceModel(self.service, "suite").operation_model(case["given"]["name"])

    def model(self):
        return model.build(compact(self.service, self.service["operations"]))

    def decode(self, case):
        return Decoder(self.model()).decode(case["given"]["name"], parse_form(case["serialized"]["body"]))

    def encode(self, case, result):
        name = case["given"]["name"]
        return Encoder(self.model()).encode_response(name, result, version="2014-01-01", request_id=REQUEST_ID)


def _supported(shapes):
    shapes = copy.deepcopy(shapes)
    for shape in shapes.values():
        if shape["type"] == "character":
            shape["type"] = "string"
        members = shape.get("members", {})
        for name, member in list(members.items()):
            target = shapes[member["shape"]]
            if target["type"] == "map" or "flattened" in target or "flattened" in member:
                del members[name]
            for trait in REFUSED_TRAITS:
                member.pop(trait, None)
        for trait in REFUSED_TRAITS:
            shape.pop(trait, None)
    return shapes


def suites(*path):
    """The suites of one file, by their cases: (test id, suite, case); nothing where the vectors are absent."""
    file = VECTORS.joinpath("ec2-protocol", "botocore", *path)
    if not file.exists():
        return []
    return [
        (case.get("id") or f"{'-'.join(path)}: {suite.description} {number}", suite, case)
        for suite in map(Suite, json.loads(file.read_text()))
        for number, case in enumerate(suite.cases)
    ]


def examples(end):
    """AWS's own examples of a request ("input") or a result ("output"): (service, action, value)."""
    for service, version in VERSIONS.items():
        file = VECTORS / "ec2-protocol" / "botocore" / f"{service}-{version}-examples-1.json"
        actions = json.loads(file.read_text())["examples"] if file.exists() else {}
        for action, of_action in actions.items():
            yield from ((service, action, example[end]) for example in of_action if example.get(end))


def values(shape, text, moment):
    """Any value of a shape, with these strings and times; structures with at most four members beside the required."""
    match shape.type_name:
        case "structure":
            return _structures(shape, text, moment)
        case "list":
            return st.lists(values(shape.member, text, moment), min_size=1, max_size=2)
        case "string":
            low, high = (shape.metadata.get(bound) for bound in ("min", "max"))
            return st.text(text, min_size=low or 0, max_size=min(high or 12, (low or 0) + 12))
        case "integer" | "long" as kind:
            bound = 2 ** (31 if kind == "integer" else 63)
            return st.integers(shape.metadata.get("min", -bound), shape.metadata.get("max", bound - 1))
    return {"boolean": st.booleans(), "timestamp": moment, "blob": st.binary(max_size=12)}.get(
        shape.type_name, st.floats(allow_nan=False)
    )


@st.composite
def _structures(draw, shape, text, moment):
    optional = [name for name in shape.members if name not in shape.required_members]
    chosen = draw(st.lists(st.sampled_from(optional), unique=True, max_size=4)) if optional else []
    names = [*shape.required_members, *chosen] or list(shape.members)[:1]
    return {name: draw(values(shape.members[name], text, moment)) for name in names}


def canonical(document):
    """A response as canonical XML, for comparison: without namespaces, request id, indentation and zero milliseconds."""
    root = etree.fromstring(document, etree.XMLParser(remove_blank_text=True))
    for node in root.iter():
        node.tag = etree.QName(node).localname
        node.text = re.sub(r"(T\d\d:\d\d:\d\d)\.000Z$", r"\1Z", node.text or "")
    for node in root.xpath("ResponseMetadata | requestId | RequestId"):
        root.remove(node)
    etree.cleanup_namespaces(root)
    return etree.tostring(root, method="c14n").decode()
