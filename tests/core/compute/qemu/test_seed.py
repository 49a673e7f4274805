import shutil
import subprocess
from dataclasses import replace
from io import BytesIO

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pycdlib import PyCdlib

from core.compute.qemu.network import StaticAddress
from core.compute.qemu.seed import RELAYED_FILE, RELAYED_SCRIPT, instance_id, seed
from tests.builders import a_launch_spec

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICGS+tqMAy6+82Dbm5TKt5x41mUFbHXdCv6b2YMY5N7Y"
NASTY = 'it\'s "mine", \\ $(id) `id` #: {[ ü 🔑 \x7f\x85\u2028'

texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


def read(spec, name, **options):
    """Return a file of the seed as a guest reads it."""
    iso, content = PyCdlib(), BytesIO()
    iso.open_fp(BytesIO(seed(spec, **{"relay": True, **options})))
    iso.get_file_from_iso_fp(content, rr_path=f"/{name}")
    iso.close()
    return content.getvalue()


def document(spec, name, **options):
    return yaml.safe_load(read(spec, name, **options))


def told(spec, name, **options):
    """Return what a shell finds in a variable of the first boot's script."""
    head, _, _ = read(spec, "vendor-data", **options).partition(b"# What a machine does")
    script = head + f'printf %s "${name}"'.encode()
    return subprocess.run(["sh"], input=script, capture_output=True, check=True).stdout.decode()


# --- the volume


def test_the_volume_is_found_by_its_label(tmp_path):
    if shutil.which("blkid") is None:
        pytest.skip("there is no command blkid; on Debian: apt-get install util-linux")
    (tmp_path / "seed.iso").write_bytes(seed(a_launch_spec(), relay=True))
    command = ["blkid", "-p", "-o", "value", "-s", "LABEL", tmp_path / "seed.iso"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "cidata\n"


@given(st.binary(max_size=5000))
@settings(max_examples=15)
@example(b"")
@example(b"#cloud-config\r\n\xff\x00" * 2000)
def test_user_data_reaches_the_machine_byte_for_byte(user_data):
    assert read(a_launch_spec(user_data=user_data), "user-data") == user_data


# --- who the machine is


@given(texts, texts)
@settings(max_examples=25)
@example("web-1.example", NASTY)
def test_no_name_and_no_comment_of_a_key_can_break_the_meta_data(hostname, comment):
    spec = a_launch_spec(0xABC, hostname=hostname, ssh_keys=(f"{KEY} {comment}", "ssh-rsa AAAA"))
    assert document(spec, "meta-data") == {
        "instance-id": "i-00000000000000abc.0",
        "local-hostname": hostname,
        "public-keys": [f"{KEY} {comment}", "ssh-rsa AAAA"],
    }


def test_a_machine_without_keys_has_an_empty_list_of_them():
    assert document(a_launch_spec(), "meta-data")["public-keys"] == []


def test_a_new_disk_is_a_new_instance_to_cloud_init():
    assert [instance_id(a_launch_spec(7, generation=generation)) for generation in (0, 12)] == [
        "i-00000000000000007.0",
        "i-00000000000000007.12",
    ]


# --- the network


def cards(**options):
    return document(a_launch_spec(5), "network-config", **options)["ethernets"]


def test_the_first_card_learns_all_from_the_network():
    assert cards()["private"] == {"match": {"macaddress": "02:00:00:00:00:05"}, "dhcp4": True}


def test_the_second_card_leads_nowhere_and_nobody_waits_for_it():
    assert cards()["metadata"] == {
        "match": {"macaddress": "06:00:00:00:00:05"},
        "dhcp4": True,
        "dhcp4-overrides": {"use-routes": False, "use-dns": False},
        "optional": True,
    }


def test_a_static_address_is_told_with_its_way_out():
    static = StaticAddress("10.1.0.5", 16, "10.1.0.1", ("192.0.2.53",))
    assert cards(static=static)["private"] == {
        "match": {"macaddress": "02:00:00:00:00:05"},
        "addresses": ["10.1.0.5/16"],
        "routes": [{"to": "0.0.0.0/0", "via": "10.1.0.1"}],
        "nameservers": {"addresses": ["192.0.2.53"]},
    }


# --- the first boot


@given(texts)
@settings(max_examples=15)
@example(NASTY)
@example("'; echo broken; '")
def test_no_value_can_break_out_of_the_script(value):
    spec = a_launch_spec(password=value, default_user=value, ssh_keys=(f"{KEY} {value}", KEY))
    assert told(spec, "password") == value
    assert told(spec, "user") == value
    assert told(spec, "keys") == f"{KEY} {value}\n{KEY}"


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_every_shell_can_read_the_script(shell, tmp_path):
    if shutil.which(shell) is None:
        pytest.skip(f"there is no command {shell}; on Debian: apt-get install {shell}")
    (tmp_path / "script").write_bytes(read(a_launch_spec(password=NASTY), "vendor-data"))
    command = [shell, "-n", tmp_path / "script"]
    assert subprocess.run(command, capture_output=True, check=False).stderr == b""


def test_cloud_init_takes_it_for_a_script():
    assert read(a_launch_spec(), "vendor-data").startswith(b"#!/bin/sh\n")


def test_a_machine_that_reaches_nothing_asks_the_gateway_for_what_it_was_promised():
    spec = a_launch_spec(file_url="https://example.org/a.bin", script_url="https://example.org/s")
    assert [told(spec, name, relay=True) for name in ("file_url", "script_url")] == [RELAYED_FILE, RELAYED_SCRIPT]
    assert [told(spec, name, relay=False) for name in ("file_url", "script_url")] == [spec.file_url, spec.script_url]


def test_a_machine_that_was_promised_nothing_asks_nobody():
    assert [told(a_launch_spec(), name, relay=True) for name in ("file_url", "script_url", "password")] == ["", "", ""]


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://example.org/data/model.tar.gz?token=a/b#c", "model.tar.gz"),
        ("https://example.org/two%20words.txt", "two words.txt"),
        ("https://example.org/..%2f..%2fetc%2fpasswd", "passwd"),
        ("https://example.org/a%0ab", "a_b"),
        ("https://example.org/%FF", "\ufffd"),
        ("https://example.org/a/%2e%2e", "file"),
        ("https://example.org/folder/", "folder"),
        ("https://example.org", "file"),
        ("https://example.org/" + "é" * 200, "é" * 100),
    ],
)
def test_a_file_is_named_by_the_last_part_of_its_path(url, name):
    assert told(replace(a_launch_spec(), file_url=url), "file_name") == name
