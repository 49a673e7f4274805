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

# AWS's region names are the only ones that it takes; the gateway has a region of this name.
REGION = "us-east-1"


@pytest.fixture(params=["2", "4"], ids=["v2", "v4"])
def driver(request, customer):
    url, keys = urlsplit(customer.gateway.endpoint), (customer.keys.access_key, customer.keys.secret_key)
    signing = {"signature_version": request.param}
    driver = get_driver(Provider.EC2)(*keys, secure=False, host=url.hostname, port=url.port, region=REGION, **signing)
    yield driver
    driver.connection.connection.session.close()


def create(driver, **more):
    # Its sizes are a table of AWS's own, so a customer of others names one.
    size = NodeSize(id=TYPE, name=TYPE, ram=1024, disk=30, bandwidth=None, price=None, driver=driver)
    return driver.create_node(name="web", image=driver.get_image(IMAGE), size=size, **more)


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


def test_listing_nodes_is_refused_by_the_name_of_the_action_that_is_missing(driver):
    create(driver)
    with pytest.raises(BaseHTTPError, match="DescribeAddresses is not supported here"):
        driver.list_nodes()


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
