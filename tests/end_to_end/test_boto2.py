"""boto 2.49, as GigeNET's documentation tells to connect with it and as boto's own does."""

import importlib
import sys
import types
import warnings
from urllib.parse import urlsplit

import pytest

from tests.end_to_end.customer import IMAGE, REGION, TYPE
from tests.running import eventually

# Python 3.12 and later deprecate how boto tells the time.
pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")


@pytest.fixture(scope="module")
def boto():
    """The library and its module of EC2.

    It is from 2018, and its copy of six cannot be imported by Python 3.12 and later, so six itself stands in for it.
    """
    names = ("", ".moves", ".moves.queue", ".moves.urllib", ".moves.urllib.parse", ".moves.urllib.request")
    sys.modules.update({f"boto.vendored.six{name}": importlib.import_module(f"six{name}") for name in names})
    sys.modules["imp"] = types.ModuleType("imp")  # it wants it for plug-ins, of which there are none
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # escapes in its strings
            return importlib.import_module("boto"), importlib.import_module("boto.ec2.connection")
    finally:
        del sys.modules["imp"]


@pytest.fixture(params=["connect_ec2_endpoint", "EC2Connection"])
def connection(request, boto, customer):
    library, ec2 = boto
    url, keys = urlsplit(customer.gateway.endpoint), (customer.keys.access_key, customer.keys.secret_key)
    if request.param == "connect_ec2_endpoint":
        opened = library.connect_ec2_endpoint(customer.gateway.endpoint, *keys)
    else:
        region = ec2.RegionInfo(name=REGION, endpoint=url.hostname)
        opened = ec2.EC2Connection(*keys, region=region, port=url.port, is_secure=False)
    yield opened
    # Its own close() only forgets the sockets.
    for pool in opened._pool.host_to_pool.values():
        for http, _ in pool.queue:
            http.close()


def book(connection, **more):
    """Return the machines of a new reservation."""
    return connection.run_instances(IMAGE, instance_type=TYPE, **more).instances


def until(state, machine):
    eventually(lambda: machine.update() == state, what=f"{state} of {machine}")


def test_a_reservation_is_an_order(connection, customer):
    reservation = connection.run_instances(IMAGE, instance_type=TYPE, min_count=2, max_count=2, user_data="#!/bin/sh")
    [order] = customer.orders()
    assert order["ec2_reservation_id"] == reservation.id
    assert [machine["ec2_instance_id"] for machine in order["instances"]] == [each.id for each in reservation.instances]
    assert reservation.owner_id == customer.keys.account_id


def test_a_machine_is_stopped_started_rebooted_and_terminated_and_the_order_tells(connection, customer):
    [machine] = book(connection)
    [order] = customer.orders()
    assert (machine.state, machine.state_code) == ("pending", 0)
    until("running", machine)
    assert connection.get_all_instance_status([machine.id])[0].system_status.status == "ok"
    assert machine.ip_address in customer.order(order["order_id"])["instances"][0]["machine"]

    machine.stop()
    until("stopped", machine)
    assert customer.order(order["order_id"])["order_status"] == "on-hold"

    machine.start()
    until("running", machine)
    assert machine.reboot()
    assert customer.order(order["order_id"])["order_status"] == "unlimited"

    machine.terminate()
    until("terminated", machine)
    assert machine.state_reason["code"] == "Client.UserInitiatedShutdown"
    assert customer.order(order["order_id"])["order_status"] == "completed"


def test_an_order_completed_in_zerosix_is_seen_to_terminate(connection, customer):
    [machine] = book(connection)
    [order] = customer.orders()
    assert customer.ask("DELETE", f"orders/{order['order_id']}").status == 204
    until("terminated", machine)


def test_tags_are_put_on_found_by_and_taken_off(connection):
    web, _ = book(connection, min_count=2, max_count=2)
    web.add_tag("Name", "web")
    assert [tag.res_id for tag in connection.get_all_tags(filters={"value": "web"})] == [web.id]
    assert [each.id for each in connection.get_only_instances(filters={"tag:Name": "web"})] == [web.id]
    web.remove_tag("Name")
    assert connection.get_all_tags() == []


def test_a_key_pair_is_made_used_and_deleted(connection, customer):
    pair = connection.create_key_pair("mine")
    assert pair.material.startswith("-----BEGIN RSA PRIVATE KEY-----")
    [machine] = book(connection, key_name="mine")
    assert customer.described(machine.id)[0]["KeyName"] == "mine"
    assert [each.name for each in connection.get_all_key_pairs()] == ["mine"]
    assert connection.delete_key_pair("mine")
    assert connection.get_all_key_pairs() == []


def test_a_key_pair_is_imported(connection, public_key_file):
    connection.import_key_pair("mine", public_key_file.read_bytes())
    assert [each.name for each in connection.get_all_key_pairs()] == ["mine"]


@pytest.mark.parametrize("names", ["allocation_id", "public_ip"])
def test_a_machine_is_reached_at_an_address_of_its_own_and_the_order_tells(connection, customer, names):
    [machine] = book(connection)
    until("running", machine)
    address = connection.allocate_address(domain="vpc")
    assert connection.associate_address(machine.id, **{names: getattr(address, names)})
    machine.update()
    assert customer.hosts() == [address.public_ip]
    assert machine.ip_address == address.public_ip
    [told] = connection.get_all_addresses(filters={"instance-id": machine.id})
    assert (told.public_ip, told.domain, told.instance_id) == (address.public_ip, "vpc", machine.id)
    assert told.disassociate()
    assert told.release()
    assert connection.get_all_addresses() == []


def test_a_machine_is_booked_into_a_group_and_keeps_it_from_being_deleted(boto, connection, customer):
    group = connection.create_security_group("web", "for the web")
    assert connection.authorize_security_group(
        group_id=group.id, ip_protocol="tcp", from_port=80, to_port=80, cidr_ip="0.0.0.0/0"
    )
    [told] = connection.get_all_security_groups(group_ids=[group.id])
    assert [str(rule) for rule in told.rules] == ["IPPermissions:tcp(80-80)"]
    [machine] = book(connection, security_group_ids=[group.id])
    assert customer.described(machine.id)[0]["SecurityGroups"] == [{"GroupId": group.id, "GroupName": "web"}]
    with pytest.raises(boto[0].exception.EC2ResponseError, match="DependencyViolation"):
        told.delete()
    assert told.revoke("tcp", 80, 80, "0.0.0.0/0")


def test_a_stopped_machine_is_made_another_type_and_the_order_tells(connection, customer):
    [machine] = book(connection)
    until("running", machine)
    machine.stop()
    until("stopped", machine)
    assert machine.modify_attribute("instanceType", "gcl.2")
    assert machine.get_attribute("instanceType") == {"instanceType": "gcl.2"}
    machine.update()
    assert machine.instance_type == "gcl.2"
    assert [told.type for told in customer.as_zerosix_tells()] == ["gcl.2"]


def test_the_console_of_a_machine_says_something(connection):
    [machine] = book(connection)
    until("running", machine)
    told = machine.get_console_output()
    assert (told.instance_id, bool(told.output)) == (machine.id, True)


def test_a_machine_has_a_disk_and_a_network_interface(connection):
    [machine] = book(connection)
    until("running", machine)
    [volume] = connection.get_all_volumes(filters={"attachment.instance-id": machine.id})
    assert (volume.size, volume.zone, volume.attach_data.device) == (30, machine.placement, machine.root_device_name)
    [interface] = connection.get_all_network_interfaces(filters={"attachment.instance-id": machine.id})
    assert (interface.id, interface.private_ip_address) == (machine.interfaces[0].id, machine.private_ip_address)


def test_regions_zones_and_images_are_called_by_their_names(connection):
    assert REGION in [region.name for region in connection.get_all_regions()]
    assert ("ord1a", REGION) in [(zone.name, zone.region_name) for zone in connection.get_all_zones()]
    assert ("debian-12", "available") in [(image.name, image.state) for image in connection.get_all_images()]


@pytest.mark.parametrize(
    ("call", "refusal"),
    [
        (lambda ec2: ec2.get_only_instances(["i-00000000fffffffff"]), (400, "InvalidInstanceID.NotFound")),
        (lambda ec2: ec2.run_instances(IMAGE, instance_type="none"), (400, "InvalidParameterValue")),
        (lambda ec2: ec2.run_instances(IMAGE, instance_type=TYPE, dry_run=True), (412, "DryRunOperation")),
        (lambda ec2: ec2.allocate_address(domain="vpc", dry_run=True), (412, "DryRunOperation")),
        (lambda ec2: ec2.get_all_placement_groups(), (400, "UnsupportedOperation")),
    ],
)
def test_a_refusal_is_an_error_with_its_code(boto, connection, customer, call, refusal):
    with pytest.raises(boto[0].exception.EC2ResponseError) as refused:
        call(connection)
    assert (refused.value.status, refused.value.error_code) == refusal
    assert refused.value.request_id
    assert customer.orders() == []
