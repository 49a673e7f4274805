"""The aws command line, version 1, configured as its users do: by environment, by option, by file."""

import json

import pytest

from tests.end_to_end.commands import run
from tests.end_to_end.customer import CATALOGUE, IMAGE, REGION, TYPE

BOOK = ["ec2", "run-instances", "--image-id", IMAGE, "--instance-type", TYPE]


@pytest.fixture
def aws(customer):
    """Runs a command with the customer's key; returns what it answers."""

    def call(*words, code=0):
        text = run(["aws", *words], code=code, **environ(customer))
        return json.loads(text) if text.startswith(("{", "[")) else text

    return call


def environ(customer):
    return {
        "AWS_ACCESS_KEY_ID": customer.keys.access_key,
        "AWS_SECRET_ACCESS_KEY": customer.keys.secret_key,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL": customer.gateway.endpoint,
    }


def test_a_machine_is_booked_found_tagged_stopped_started_and_terminated_and_the_order_tells(
    aws, customer, public_key_file
):
    # The order of calls is that of ec2-client-sequences.md, awscli.
    aws("ec2", "import-key-pair", "--key-name", "mine", "--public-key-material", f"fileb://{public_key_file}")
    tags = "ResourceType=instance,Tags=[{Key=Name,Value=web}]"
    booked = aws(*BOOK, "--count", "2", "--key-name", "mine", "--tag-specifications", tags)
    [order] = customer.orders()
    assert order["ec2_reservation_id"] == booked["ReservationId"]
    machine, other = (each["InstanceId"] for each in booked["Instances"])

    aws("ec2", "wait", "instance-running", "--instance-ids", machine, other)
    found = ["--filters", "Name=tag:Name,Values=web", "Name=instance-state-name,Values=running"]
    query = ["--query", "Reservations[].Instances[].InstanceId", "--output", "text"]
    assert aws("ec2", "describe-instances", *found, *query).split() == [machine, other]
    [status] = aws("ec2", "describe-instance-status", "--instance-ids", machine)["InstanceStatuses"]
    assert status["SystemStatus"]["Status"] == "ok"
    assert customer.order(order["order_id"])["order_status"] == "unlimited"

    aws("ec2", "create-tags", "--resources", machine, "--tags", "Key=stage,Value=test")
    assert aws("ec2", "describe-tags", "--filters", "Name=key,Values=stage")["Tags"][0]["ResourceId"] == machine

    aws("ec2", "stop-instances", "--instance-ids", machine, other)
    aws("ec2", "wait", "instance-stopped", "--instance-ids", machine, other)
    assert customer.order(order["order_id"])["order_status"] == "on-hold"

    started = aws("ec2", "start-instances", "--instance-ids", machine)["StartingInstances"]
    assert [change["PreviousState"]["Name"] for change in started] == ["stopped"]
    aws("ec2", "terminate-instances", "--instance-ids", machine, other)
    aws("ec2", "wait", "instance-terminated", "--instance-ids", machine, other)
    assert customer.order(order["order_id"])["order_status"] == "completed"


def test_a_dry_run_books_nothing(aws, customer):
    assert "DryRunOperation" in aws(*BOOK, "--dry-run", code=255)
    assert customer.orders() == []


def test_what_is_not_served_is_refused_by_name(aws):
    text = aws("ec2", "describe-placement-groups", code=255)
    assert "UnsupportedOperation" in text
    assert "DescribePlacementGroups" in text


def test_a_machine_is_reached_at_an_address_of_its_own_and_the_order_tells(aws, customer):
    [machine] = customer.book()
    customer.until("running", machine)
    address = aws("ec2", "allocate-address", "--domain", "vpc")
    given, its_id = address["PublicIp"], address["AllocationId"]
    association = ["--query", "AssociationId", "--output", "text"]
    of_it = aws("ec2", "associate-address", "--allocation-id", its_id, "--instance-id", machine, *association).strip()
    assert customer.described(machine)[0]["PublicIpAddress"] == given
    assert customer.hosts() == [given]
    query = ["--query", "Addresses[].[PublicIp,InstanceId]", "--output", "text"]
    assert aws("ec2", "describe-addresses", *query).split() == [given, machine]

    aws("ec2", "disassociate-address", "--association-id", of_it)
    assert customer.hosts() == [customer.described(machine)[0]["PublicIpAddress"]] != [given]
    aws("ec2", "release-address", "--allocation-id", its_id)
    assert aws("ec2", "describe-addresses") == {"Addresses": []}


def test_a_machine_is_booked_into_a_group_whose_rules_are_told(aws, customer):
    names = ["--group-name", "web", "--description", "for the web", "--query", "GroupId", "--output", "text"]
    group = aws("ec2", "create-security-group", *names).strip()
    ssh = ["--group-id", group, "--protocol", "tcp", "--port", "22", "--cidr", "203.0.113.0/24"]
    [rule] = aws("ec2", "authorize-security-group-ingress", *ssh)["SecurityGroupRules"]
    its = ["--filters", f"Name=group-id,Values={group}"]
    assert rule in aws("ec2", "describe-security-group-rules", *its)["SecurityGroupRules"]
    [machine] = aws(*BOOK, "--security-group-ids", group)["Instances"]
    assert machine["SecurityGroups"] == [{"GroupId": group, "GroupName": "web"}]
    assert "DependencyViolation" in aws("ec2", "delete-security-group", "--group-id", group, code=255)
    assert len(customer.orders()) == 1


def test_a_stopped_machine_is_made_another_type_and_the_order_tells(aws, customer):
    [machine] = customer.book()
    customer.until("running", machine)
    another_type = ["modify-instance-attribute", "--instance-id", machine, "--instance-type", '{"Value": "gcl.2"}']
    assert "IncorrectInstanceState" in aws("ec2", *another_type, code=255)
    customer.ec2.stop_instances(InstanceIds=[machine])
    aws("ec2", "wait", "instance-stopped", "--instance-ids", machine)
    aws("ec2", *another_type)
    told = aws("ec2", "describe-instance-attribute", "--instance-id", machine, "--attribute", "instanceType")
    assert told["InstanceType"] == {"Value": "gcl.2"}
    assert [each.type for each in customer.as_zerosix_tells()] == ["gcl.2"]


def test_a_protected_machine_is_not_terminated_until_it_is_set_free(aws, customer):
    [machine] = customer.book()
    aws("ec2", "modify-instance-attribute", "--instance-id", machine, "--disable-api-termination")
    assert "OperationNotPermitted" in aws("ec2", "terminate-instances", "--instance-ids", machine, code=255)
    aws("ec2", "modify-instance-attribute", "--instance-id", machine, "--no-disable-api-termination")
    aws("ec2", "terminate-instances", "--instance-ids", machine)
    assert customer.orders()[0]["order_status"] == "completed"


def test_the_console_of_a_machine_says_something(aws, customer):
    [machine] = customer.book()
    customer.until("running", machine)
    assert aws("ec2", "get-console-output", "--instance-id", machine, "--query", "Output", "--output", "text").strip()


def test_a_machine_has_a_disk_of_the_size_that_its_product_tells(aws, customer):
    [machine] = customer.book()
    customer.until("running", machine)
    its = ["--filters", f"Name=attachment.instance-id,Values={machine}"]
    aws("ec2", "wait", "volume-in-use", *its)
    [volume] = aws("ec2", "describe-volumes", *its)["Volumes"]
    assert (volume["Size"], volume["State"]) == (30, "in-use")


def test_offers_and_limits_are_told(aws):
    by_zone = ["--location-type", "availability-zone", "--filters", f"Name=instance-type,Values={TYPE}"]
    offers = aws("ec2", "describe-instance-type-offerings", *by_zone)["InstanceTypeOfferings"]
    assert [offer["Location"] for offer in offers] == ["ord1a", "ord1b"]
    query = ["--query", "AccountAttributes[?AttributeName=='default-vpc'].AttributeValues[].AttributeValue"]
    [network] = aws("ec2", "describe-account-attributes", *query)
    assert aws("ec2", "describe-vpcs", "--query", "Vpcs[?IsDefault].VpcId") == [network]


def test_sts_tells_whose_key_it_is(aws, customer):
    assert aws("sts", "get-caller-identity")["Account"] == customer.keys.account_id


def test_a_key_pair_made_is_printed_as_a_usable_private_key(aws, tmp_path):
    pem = aws("ec2", "create-key-pair", "--key-name", "mine", "--query", "KeyMaterial", "--output", "text")
    key = tmp_path / "key.pem"
    key.write_text(pem)
    key.chmod(0o600)
    assert run(["ssh-keygen", "-y", "-f", str(key)]).startswith("ssh-rsa ")


def test_the_types_of_all_regions_are_the_products_of_zerosix(aws, customer):
    query = ["--query", "InstanceTypes[].[InstanceType,MemoryInfo.SizeInMiB]"]
    types = [
        tuple(each)
        for region in CATALOGUE["regions"]
        for each in aws("ec2", "describe-instance-types", "--region", region["name"], *query)
    ]
    assert len(set(types)) == len(customer.ask("GET", "products").json())
    assert (TYPE, 1024) in types


@pytest.mark.parametrize("output", ["text", "table"])
def test_outputs_for_people_show_the_machine(aws, customer, output):
    [machine] = customer.book()
    assert machine in aws("ec2", "describe-instances", "--output", output)


def test_a_profile_in_a_file_and_an_endpoint_on_the_command_line_do_as_well(customer, tmp_path):
    keys = customer.keys
    (tmp_path / "config").write_text(f"[profile fleet]\nregion = {REGION}\n")
    (tmp_path / "credentials").write_text(
        f"[fleet]\naws_access_key_id = {keys.access_key}\naws_secret_access_key = {keys.secret_key}\n"
    )
    files = {"AWS_CONFIG_FILE": str(tmp_path / "config"), "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials")}
    run(["aws", *BOOK, "--profile", "fleet", "--endpoint-url", customer.gateway.endpoint], **files)
    assert len(customer.orders()) == 1
