"""Real machines for real clients: rented, logged into, changed and ended through one protocol, and seen in the other."""

import base64
import shutil
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.docs.pages import blocks
from tests.end_to_end.commands import run
from tests.end_to_end.customer import REGION, Customer
from tests.machines import a_gateway, a_renter, folders, login_to, micro_image, processes
from tests.running import REPOSITORY, eventually
from tests.ssh import Login

__all__ = ["micro_image"]

PATIENCE_SECONDS = 120
_OFTEN = {"Delay": 1, "MaxAttempts": PATIENCE_SECONDS}
_MIB_IN_KIB = 1024


@pytest.fixture(scope="module")
def gateway(tmp_path_factory, micro_image):
    with a_gateway(tmp_path_factory.mktemp("machines"), micro_image, relay_from=["127.0.0.0/8"]) as running:
        yield running


@pytest.fixture
def renter(gateway):
    with a_renter(gateway) as someone:
        yield someone


@dataclass(frozen=True)
class Rented:
    """A running machine of a customer, and the way into it."""

    customer: Customer
    id: str
    login: Login

    @property
    def root(self):
        return replace(self.login, user="root")


@pytest.fixture(scope="module")
def rented(gateway, tmp_path_factory):
    """A machine that is up, for tests that leave it as it was."""
    with a_renter(gateway) as someone:
        machine = rent(someone, tmp_path_factory.mktemp("rented"))
        machine.login.run("true")
        yield machine


def rent(customer, folder, **more):
    """Return a machine that was just booked with boto3 and has come up, with a key pair made there too."""
    key = folder / "key.pem"
    key.write_text(customer.ec2.create_key_pair(KeyName="mine")["KeyMaterial"])
    key.chmod(0o600)
    [machine] = customer.book(KeyName="mine", **more)
    customer.ec2.get_waiter("instance_running").wait(InstanceIds=[machine], WaiterConfig=_OFTEN)
    return Rented(customer, machine, login_to(customer, machine, key))


def reach(customer, state, *ids):
    customer.ec2.get_waiter(f"instance_{state}").wait(InstanceIds=list(ids), WaiterConfig=_OFTEN)


def soon(command):
    """Return a command that waits for one to succeed, as the first boot's script may still run."""
    return f"for i in $(seq 300); do {command} 2>/dev/null && exit; sleep 0.1; done; exit 1"


def assert_nothing_is_left(gateway, before, *logins):
    assert folders(gateway.data) == before.folders
    eventually(lambda: set(processes(gateway.data)) <= before.processes, what="the end of the machines' processes")
    for login in logins:
        with closing(socket.socket()) as probe:
            assert probe.connect_ex((login.host, login.port)) != 0, "something still listens on the machine's port"


@dataclass(frozen=True)
class Before:
    folders: frozenset
    processes: frozenset

    @classmethod
    def of(cls, gateway):
        return cls(frozenset(folders(gateway.data)), frozenset(processes(gateway.data)))


# --- one way, and the other


def test_a_machine_rented_with_boto3_is_logged_into_keeps_its_disk_and_ends_with_its_zerosix_order(renter, tmp_path):
    before = Before.of(renter.gateway)
    machine = rent(renter, tmp_path, UserData="#!/bin/sh\necho by user data > /home/renter/told\n")
    assert machine.login.run(soon("grep . told")) == "by user data"

    [order] = renter.orders()
    [shown] = order["instances"]
    assert (shown["ec2_instance_id"], shown["status"]) == (machine.id, "wc-unlimited")
    [described] = renter.described(machine.id)
    assert machine.login.host == described["PublicIpAddress"]
    told = {"Key": "aws:onefleet:ssh", "Value": f"ssh -p {machine.login.port} renter@{machine.login.host}"}
    assert described["Tags"] == [told]
    [door] = renter.ask("GET", f"credentials/{order['order_key']}").json()["instances"]
    assert (door["ssh_hostname"], door["ssh_port"]) == (f"renter@{machine.login.host}", str(machine.login.port))

    machine.login.run("echo kept > kept; sync")
    renter.ec2.stop_instances(InstanceIds=[machine.id])
    reach(renter, "stopped", machine.id)
    assert not machine.login.is_let_in()
    renter.ec2.start_instances(InstanceIds=[machine.id])
    reach(renter, "running", machine.id)
    assert machine.login.run("cat kept told") == "kept\nby user data"

    assert renter.ask("DELETE", f"orders/{order['order_id']}").status == 204
    reach(renter, "terminated", machine.id)
    assert_nothing_is_left(renter.gateway, before, machine.login)
    assert renter.order(order["order_id"])["order_status"] == "completed"


def test_two_machines_ordered_from_zerosix_get_file_and_script_know_themselves_and_end_through_ec2(renter, tmp_path):
    before = Before.of(renter.gateway)
    pages = {"/notes.txt": b"read me", "/setup": b"#!/bin/sh\ncat /home/renter/notes.txt > /home/renter/done\n"}
    with a_web_server(pages) as url:
        wanted = {"file_url": f"{url}/notes.txt", "script_url": f"{url}/setup"}
        product = {"product_id": renter.product_id(), "instances": 2}
        [order] = renter.ask("PUT", "orders", product | wanted).json()
        ids = [each["ec2_instance_id"] for each in order["instances"]]
        reach(renter, "running", *ids)
        link = renter.ask("GET", f"credentials/{order['order_key']}").json()["ssh_key"]
        key = tmp_path / "order.pem"
        key.write_text(renter.gateway.get(link.removeprefix(renter.gateway.endpoint)).text)
        key.chmod(0o600)
        logins = [login_to(renter, each, key) for each in ids]
        assert [login.run(soon("grep . done")) for login in logins] == ["read me", "read me"]
    assert [login.run(told_of_itself("instance-id")) for login in logins] == ids
    assert {login.run("id -un") for login in logins} == {"renter"}
    assert renter.as_ec2_tells() == renter.as_zerosix_tells()

    renter.ec2.terminate_instances(InstanceIds=ids)
    reach(renter, "terminated", *ids)
    assert renter.order(order["order_id"])["order_status"] == "completed"
    assert_nothing_is_left(renter.gateway, before, *logins)


# --- what can be seen of it


def test_the_console_tells_of_the_boot_and_the_screen_is_a_picture(rented):
    ec2 = rented.customer.ec2
    told = ec2.get_console_output(InstanceId=rented.id, Latest=True)["Output"]
    assert "Linux version" in told or "BEGIN SSH HOST KEY KEYS" in told
    picture = ec2.get_console_screenshot(InstanceId=rented.id)["ImageData"]
    assert base64.b64decode(picture).startswith(b"\x89PNG")


def test_the_tutorial_logs_in_as_it_says(rented, tmp_path):
    tutorial = blocks(REPOSITORY / "docs" / "tutorial.md")
    told = [each.text for each in tutorial if each.section.endswith("Log in") and each.language == "sh"]
    shutil.copy(rented.login.key, tmp_path / "laptop.pem")
    ssh = 'ssh() { command ssh -o UserKnownHostsFile=known "$@"; }\n'
    printed = run(
        ["bash", "-euc", f"cd {tmp_path}\n{ssh}{''.join(told)}"],
        AWS_ACCESS_KEY_ID=rented.customer.keys.access_key,
        AWS_SECRET_ACCESS_KEY=rented.customer.keys.secret_key,
        AWS_ENDPOINT_URL=rented.customer.gateway.endpoint,
        AWS_DEFAULT_REGION=REGION,
        machine=rented.id,
    )
    assert printed.endswith("Linux x86_64\nrenter\n")


def test_the_page_about_metadata_asks_as_it_says(rented):
    [told] = [each.text for each in blocks(REPOSITORY / "docs" / "metadata.md") if each.language == "sh"]
    assert rented.login.run(told) == rented.id


def test_a_machine_is_told_its_own_name_and_its_key_only_with_a_token_where_that_is_asked_for(rented):
    ec2 = rented.customer.ec2
    assert rented.login.run(told_of_itself("instance-id", with_token=False)) == rented.id
    public = rented.login.run(told_of_itself("public-keys/0/openssh-key", with_token=False))
    assert public.split()[1] in rented.login.run("cat .ssh/authorized_keys")
    ec2.modify_instance_metadata_options(InstanceId=rented.id, HttpTokens="required")
    try:
        assert rented.login.run(f"{told_of_itself('instance-id', with_token=False)} || echo refused") == "refused"
        assert rented.login.run(told_of_itself("instance-id")) == rented.id
    finally:
        ec2.modify_instance_metadata_options(InstanceId=rented.id, HttpTokens="optional")


def told_of_itself(path, *, with_token=True):
    """Return a command that fetches metadata, or fails; by nc, since busybox's wget cannot PUT."""
    host = r"Host: 169.254.169.254\r\nConnection: close\r\n"
    put = rf"PUT /latest/api/token HTTP/1.1\r\n{host}X-aws-ec2-metadata-token-ttl-seconds: 60\r\n\r\n"
    token = f"$(printf '{put}' | nc 169.254.169.254 80 | tail -n 1)" if with_token else ""
    get = rf"GET /latest/meta-data/{path} HTTP/1.1\r\n{host}X-aws-ec2-metadata-token: %s\r\n\r\n"
    if not with_token:
        get = get.replace(r"X-aws-ec2-metadata-token: %s\r\n", "")
    fetch = f"printf '{get}' \"{token}\" | nc 169.254.169.254 80 > answer"
    return f"{fetch}; head -n 1 answer | grep -q ' 200 ' && tail -n 1 answer"


def test_ssh_is_closed_while_the_security_group_does_not_let_everybody_in(rented):
    ec2 = rented.customer.ec2
    [group] = ec2.describe_security_groups(GroupNames=["default"])["SecurityGroups"]
    [ssh] = [rule for rule in group["IpPermissions"] if rule.get("FromPort") == 22]
    ec2.revoke_security_group_ingress(GroupId=group["GroupId"], IpPermissions=[ssh])
    try:
        eventually(lambda: not rented.login.is_let_in(), what="the closing of ssh")
    finally:
        ec2.authorize_security_group_ingress(GroupId=group["GroupId"], IpPermissions=[ssh])
    eventually(rented.login.is_let_in, what="the opening of ssh")


# --- what can be changed of it


def test_a_stopped_machine_that_becomes_another_type_has_its_memory_and_ends_by_its_own_shutdown_if_told_so(
    renter, tmp_path
):
    before = Before.of(renter.gateway)
    machine = rent(renter, tmp_path)
    renter.ec2.stop_instances(InstanceIds=[machine.id], Force=True)
    reach(renter, "stopped", machine.id)
    renter.ec2.modify_instance_attribute(InstanceId=machine.id, InstanceType={"Value": "gcl.2"})
    renter.ec2.modify_instance_attribute(
        InstanceId=machine.id, InstanceInitiatedShutdownBehavior={"Value": "terminate"}
    )
    renter.ec2.start_instances(InstanceIds=[machine.id])
    memory_kib = int(machine.root.run("awk '/MemTotal/ { print $2 }' /proc/meminfo"))
    assert 256 * _MIB_IN_KIB < memory_kib <= 384 * _MIB_IN_KIB

    machine.root.run("(sleep 0.5; poweroff) >/dev/null 2>&1 &")
    reach(renter, "terminated", machine.id)
    [ended] = renter.described(machine.id)
    assert ended["StateReason"]["Code"] == "Client.InstanceInitiatedShutdown"
    assert_nothing_is_left(renter.gateway, before, machine.login)


def test_a_reinstalled_machine_is_new_inside_and_the_same_outside(renter, tmp_path):
    machine = rent(renter, tmp_path, UserData="#!/bin/sh\necho boot >> /home/renter/boots\n")
    machine.login.run(soon("grep . boots"))
    machine.login.run("touch of-the-old-disk; sync")
    [was] = renter.described(machine.id)
    renter.ec2.modify_instance_attribute(InstanceId=machine.id, Attribute="password", Value="any")
    renter.ec2.modify_instance_attribute(InstanceId=machine.id, Attribute="operatingSystem", Value="ubuntu-24.04")
    eventually(lambda: is_another_boot(machine), seconds=PATIENCE_SECONDS, what="the new disk's first boot")
    assert machine.login.run(soon("grep . boots")) == "boot"
    [now] = renter.described(machine.id)
    for name in ("PrivateIpAddress", "PublicIpAddress", "LaunchTime"):
        assert now[name] == was[name]
    assert now["ImageId"] != was["ImageId"]
    password = password_of(machine)
    kind_and_salt = machine.root.run("awk -F'[:$]' '/^root:/ { print $3, $4 }' /etc/shadow").split()
    [hashed] = machine.root.run("grep ^root: /etc/shadow | cut -d: -f2").split()
    of_kind = {"1": "md5", "5": "sha256", "6": "sha512"}.get(kind_and_salt[0], "des")
    assert machine.root.run(f"busybox mkpasswd -m {of_kind} -S '{kind_and_salt[-1]}' '{password}'") == hashed


def is_another_boot(machine):
    done = machine.login.is_let_in() and machine.login.run("ls")
    return done is not False and "of-the-old-disk" not in done


def password_of(machine):
    sealed = machine.customer.ec2.get_password_data(InstanceId=machine.id)["PasswordData"]
    key = load_pem_private_key(machine.login.key.read_bytes(), None)
    return key.decrypt(base64.b64decode(sealed), PKCS1v15()).decode()


# --- small change


@contextmanager
def a_web_server(pages: dict[str, bytes]) -> Iterator[str]:
    """Serve pages on loopback until the block ends; yield the URL that they are below."""

    class Pages(BaseHTTPRequestHandler):
        def do_GET(self):
            found = pages.get(self.path)
            self.send_response(404 if found is None else 200)
            self.send_header("Content-Length", str(len(found or b"")))
            self.end_headers()
            self.wfile.write(found or b"")

        def log_message(self, *_):
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        serving = Thread(target=server.serve_forever)
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            serving.join()
