"""Every action's answer, compared whole with a file that was read by eye beside EC2's documentation."""

import pytest
from lxml import etree

from core.instances import Cause, Power, after_failure
from core.orders import Booking
from tests.protocols.ec2.oracle import operation
from tests.protocols.ec2.stage import GIGENETS_OWN, GOOD, STS, set_stage

MASKED = {"requestId", "RequestId", "RequestID"}
RANDOM = {
    "CreateKeyPair": {"keyMaterial", "keyFingerprint"},
    "GetSessionToken": {"AccessKeyId", "SecretAccessKey", "SessionToken"},
}


def canonical(document: bytes, masked: set[str]) -> str:
    """Return a document as canonical XML, indented, without what differs every time."""
    root = etree.fromstring(document, etree.XMLParser(remove_blank_text=True))
    for node in root.iter():
        if etree.QName(node).localname in masked:
            node.text = "..."
    etree.indent(root)
    return etree.tostring(root, method="c14n").decode() + "\n"


async def set_scene(house):
    """Add to the stage an order of two machines with a GPU: one that its user stopped, one that could not be made."""
    await set_stage(house)
    product = await house.product("nvidia-titanxp")
    await house.core.book(house.caller(), Booking(product.id, 2, 2))
    (machine,) = [each for each in await house.machines() if each.id == 3]
    failed = after_failure(machine, house.clock.now(), Cause.NO_CAPACITY, "No host has room.")
    await house.store.transact(lambda tx: tx.put(failed))
    await house.seen(Power.ABSENT, [3])
    await house.seen(Power.RUNNING, [2], private_address="10.0.0.2", public_address="192.0.2.2")
    await house.core.stop(house.caller(), [2], is_forced=False)
    await house.seen(Power.STOPPED, [2], private_address="10.0.0.2")


@pytest.fixture
async def scene(house):
    await set_scene(house)


@pytest.mark.parametrize("action", GOOD)
async def test_an_answer_is_the_one_that_was_reviewed(ec2, scene, golden, action):
    more = {"IncludeAllInstances": "true"} if action == "DescribeInstanceStatus" else {}
    answer = await ec2.ask(action, GOOD[action] | more, host="cloud.test")
    assert answer.status == 200
    golden.check(f"ec2/{action}.xml", canonical(answer.body, MASKED | RANDOM.get(action, set())))


@pytest.mark.parametrize(("name", "action"), [("Refusal", "TerminateInstances"), ("StsRefusal", "GetCallerIdentity")])
async def test_a_refusal_is_the_one_that_was_reviewed(ec2, golden, name, action):
    answer = await ec2.ask(action, {"InstanceId.1": "i-0123456789abcdef0", "InstanceId.2": "9"})
    assert answer.status == 400
    golden.check(f"ec2/{name}.xml", canonical(answer.body, MASKED))


# --- and held against AWS's own


OUTSIDE = {"AssociateAddress": {"return"}, "DescribeReservedInstances": {"desc"}}
"""What is not in botocore's model, with or without AWS's knowledge."""


@pytest.mark.parametrize("action", sorted(GOOD.keys() - GIGENETS_OWN))
async def test_an_answer_has_no_element_that_botocore_would_not_read(ec2, scene, action):
    more = {"IncludeAllInstances": "true"} if action == "DescribeInstanceStatus" else {}
    root = (await ec2.ask(action, GOOD[action] | more)).root
    shape = operation("sts" if action in STS else "ec2", action).output_shape
    result = root.find("{*}" + f"{action}Result") if action in STS else root
    outside = {"requestId"} | ({"return"} if shape is None else OUTSIDE.get(action, set()))
    assert set(strangers(result, shape)) - outside == set()


def strangers(node, shape):
    """Yield the names of the elements under a node that are not in a shape of botocore's model."""
    for child in node:
        name = etree.QName(child).localname
        below = shape_of(name, shape) if shape is not None else None
        if below is None:
            yield name
        else:
            yield from strangers(child, below)


def shape_of(name, shape):
    if shape.type_name == "list":
        return shape.member if name in ("item", shape.member.serialization.get("name")) else None
    members = shape.members if shape.type_name == "structure" else {}
    return next((each for key, each in members.items() if each.serialization.get("name", key) == name), None)
