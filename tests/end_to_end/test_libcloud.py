"""apache-libcloud's EC2 driver, with either version of signatures that it makes."""

from urllib.parse import urlsplit

import pytest
from libcloud.common.exceptions import BaseHTTPError
from libcloud.compute.base import NodeAuthSSHKey, NodeSize
from libcloud.compute.providers import get_driver
from libcloud.compute.types import KeyPairDoesNotExistError, Provider

from tests.end_to_end.customer import IMAGE, TYPE

# Python 3.12 and later deprecate how libcloud tells the time.
pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")

REGION = "us-east-1"


@pytest.fixture(scope="module")
def gateway(aws_gateway):
    """Only the names of AWS's regions are taken."""
    return aws_gateway


@pytest.fixture(params=["2", "4"], ids=["v2", "v4"])
def driver(request, customer):
    url, keys = urlsplit(customer.gateway.endpoint), (customer.keys.access_key, customer.keys.secret_key)
    signing = {"signature_version": request.param}
    driver = get_driver(Provider.EC2)(*keys, secure=False, host=url.hostname, port=url.port, region=REGION, **signing)
    yield driver
    driver.connection.connection.session.close()


def create(driver, **more):
    # Its sizes are a table of AWS's own, so a customer of others names one.
    return driver.create_node(name="web", image=driver.get_image(IMAGE), size=a_size(driver, TYPE), **more)


def a_size(driver, name):
    return NodeSize(id=name, name=name, ram=1024, disk=30, bandwidth=None, price=None, driver=driver)


def test_a_node_is_a_machine_of_an_order_and_is_called_by_its_tag(driver, customer):
    node = create(driver)
    [order] = customer.orders()
    assert [machine["ec2_instance_id"] for machine in order["instances"]] == [node.id]
    assert (node.name, node.state) == ("web", "pending")


def test_a_node_is_stopped_started_rebooted_and_destroyed_and_the_order_tells(driver, customer):
    node = create(driver)
    [order] = customer.orders()
    customer.until("running", node.id)
    assert driver.stop_node(node)
    customer.until("stopped", node.id)
    assert customer.order(order["order_id"])["order_status"] == "on-hold"
    assert driver.start_node(node)
    customer.until("running", node.id)
    assert driver.reboot_node(node)
    assert customer.order(order["order_id"])["order_status"] == "unlimited"
    assert driver.destroy_node(node)
    customer.until("terminated", node.id)
    assert customer.order(order["order_id"])["order_status"] == "completed"


def test_the_nodes_listed_are_the_machines_of_both_protocols(driver, customer):
    node = create(driver)
    customer.ask("PUT", "orders", {"product_id": customer.product_id(), "instances": 1})
    ordered = customer.orders()[0]["instances"][0]["ec2_instance_id"]
    customer.until("running", node.id, ordered)
    assert [(each.id, each.name, each.state) for each in driver.list_nodes()] == [
        (node.id, "web", "running"),
        (ordered, ordered, "running"),
    ]
    assert [each.id for each in driver.list_nodes(ex_filters={"tag:Name": "web"})] == [node.id]


@pytest.mark.parametrize("domain", ["vpc", None])
def test_a_node_is_reached_at_an_address_of_its_own_and_the_order_tells(driver, customer, domain):
    node = create(driver)
    customer.until("running", node.id)
    address = driver.ex_allocate_address(domain or "standard")
    driver.ex_associate_address_with_node(node, address, domain)
    assert address.ip in driver.list_nodes()[0].public_ips
    assert customer.hosts() == [address.ip]
    [told] = driver.ex_describe_all_addresses(only_associated=True)
    assert (told.ip, told.instance_id) == (address.ip, node.id)
    assert driver.ex_disassociate_address(told, domain)
    assert customer.hosts() != [address.ip]
    assert driver.ex_release_address(address, domain)
    assert driver.ex_describe_all_addresses() == []


def test_a_node_is_made_in_a_group_whose_rules_are_told(driver, customer):
    group = driver.ex_create_security_group("web", "for the web")["group_id"]
    assert driver.ex_authorize_security_group_ingress(group, 80, 80, cidr_ips=["0.0.0.0/0"])
    assert "web" in driver.ex_list_security_groups()
    [told] = driver.ex_get_security_groups(group_ids=[group])
    assert [(rule["from_port"], rule["cidr_ips"]) for rule in told.ingress_rules] == [("80", ["0.0.0.0/0"])]
    node = create(driver, ex_security_group_ids=[group], ex_subnet=driver.ex_list_subnets()[0])
    assert customer.described(node.id)[0]["SecurityGroups"] == [{"GroupId": group, "GroupName": "web"}]
    with pytest.raises(BaseHTTPError, match="DependencyViolation"):
        driver.ex_delete_security_group_by_id(group)
    assert driver.ex_revoke_security_group_ingress(group, 80, 80, cidr_ips=["0.0.0.0/0"])


def test_a_stopped_node_is_given_another_size_and_the_order_tells(driver, customer):
    node = create(driver)
    customer.until("running", node.id)
    driver.stop_node(node)
    customer.until("stopped", node.id)
    assert driver.ex_change_node_size(node, a_size(driver, "gcl.2"))
    assert customer.as_zerosix_tells() == customer.as_ec2_tells()
    assert [machine.type for machine in customer.as_zerosix_tells()] == ["gcl.2"]


def test_the_console_of_a_node_says_something(driver, customer):
    node = create(driver)
    customer.until("running", node.id)
    told = driver.ex_get_console_output(node)
    assert (told["instance_id"], bool(told["output"])) == (node.id, True)


def test_a_node_has_a_disk_and_is_in_the_only_network(driver, customer):
    node = create(driver)
    customer.until("running", node.id)
    [volume] = driver.list_volumes(node)
    assert (volume.size, volume.extra["instance_id"]) == (30, node.id)
    [network] = driver.ex_list_networks()
    assert customer.described(node.id)[0]["VpcId"] == network.id


def test_tags_are_put_on_and_taken_off(driver):
    node = create(driver)
    assert driver.ex_create_tags(node, {"stage": "test"})
    assert driver.ex_describe_tags(node) == {"Name": "web", "stage": "test"}
    assert driver.ex_delete_tags(node, {"stage": "test"})
    assert driver.ex_describe_tags(node) == {"Name": "web"}


def test_a_key_pair_is_made_used_and_deleted(driver, customer):
    pair = driver.create_key_pair("mine")
    assert pair.private_key.startswith("-----BEGIN RSA PRIVATE KEY-----")
    assert driver.get_key_pair("mine").fingerprint == pair.fingerprint
    node = create(driver, ex_keyname="mine")
    assert customer.described(node.id)[0]["KeyName"] == "mine"
    assert driver.delete_key_pair(pair)
    with pytest.raises(KeyPairDoesNotExistError):
        driver.get_key_pair("mine")


@pytest.mark.filterwarnings("ignore:This method has been deprecated:UserWarning")  # libcloud calls its own
def test_a_node_made_with_a_public_key_imports_it_once(driver, public_key_file):
    mine = NodeAuthSSHKey(public_key_file.read_text())
    create(driver, auth=mine)
    create(driver, auth=mine)
    assert len(driver.list_key_pairs()) == 1


def test_images_and_locations_are_those_of_the_catalogue(driver):
    assert "debian-12" in [image.name for image in driver.list_images()]
    assert [location.name for location in driver.list_locations()] == ["us-east-1a"]


def test_a_refusal_is_an_error_with_its_code(driver):
    with pytest.raises(BaseHTTPError, match=r"InvalidInstanceID\.NotFound"):
        driver.list_nodes(ex_node_ids=["i-00000000fffffffff"])
