"""The disk by which a machine learns at its first boot who it is, in the form that cloud-init's NoCloud reads."""

import json
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from io import BytesIO
from pathlib import PurePosixPath
from shlex import quote
from urllib.parse import unquote, urlsplit

from core.compute.qemu.network import StaticAddress, service_hardware_address
from core.ports import LaunchSpec

LABEL = "cidata"
"""The volume's name, by which NoCloud finds it."""

RELAYED_FILE = "http://169.254.169.254/onefleet/file"
"""Where a machine that reaches nothing else asks the gateway for the file of its order."""

RELAYED_SCRIPT = "http://169.254.169.254/onefleet/script"
"""The same for the script."""

# What JSON lets stand in a string and YAML does not, or takes for the end of a line.
_UNFIT_FOR_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
_UNFIT_FOR_A_FILE_NAME = re.compile("[\x00-\x1f\x7f/]")
_LONGEST_FILE_NAME_BYTES = 200


def seed(spec: LaunchSpec, *, relay: bool, static: StaticAddress | None = None) -> bytes:
    """Return the seed of a machine, an ISO image. It takes tens of milliseconds: keep it out of the event loop.

    With `relay` the machine gets the file and the script of its order from the gateway, by its metadata address.
    Without a `static` address it learns its own by DHCP.
    """
    return _iso(
        {
            "meta-data": _json(_meta_data(spec)),
            "user-data": spec.user_data,
            "vendor-data": _vendor_data(spec, relay=relay),
            "network-config": _json(_network_config(spec, static)),
        }
    )


def instance_id(spec: LaunchSpec) -> str:
    """Return the name that cloud-init knows the machine by: with a new one, the first boot runs again."""
    return f"i-{spec.id:017x}.{spec.generation}"


def _meta_data(spec: LaunchSpec) -> Mapping[str, object]:
    return {
        "instance-id": instance_id(spec),
        "local-hostname": spec.hostname,
        "public-keys": list(spec.ssh_keys),
    }


def _network_config(spec: LaunchSpec, static: StaticAddress | None) -> Mapping[str, object]:
    """Return what the cards are for: the second leads to the metadata address alone, and may be missing."""
    private = spec.hardware_address.lower()
    metadata = service_hardware_address(private)
    address = {"dhcp4": True} if static is None else _static(static)
    return {
        "version": 2,
        "ethernets": {
            "private": {"match": {"macaddress": private}, **address},
            "metadata": {
                "match": {"macaddress": metadata},
                "dhcp4": True,
                "dhcp4-overrides": {"use-routes": False, "use-dns": False},
                "optional": True,
            },
        },
    }


def _static(static: StaticAddress) -> Mapping[str, object]:
    return {
        "addresses": [f"{static.address}/{static.prefix}"],
        # Not gateway4, which cloud-init of Ubuntu 24.04 warns about.
        "routes": [{"to": "0.0.0.0/0", "via": static.gateway}],
        "nameservers": {"addresses": list(static.name_servers)},
    }


def _vendor_data(spec: LaunchSpec, *, relay: bool) -> bytes:
    """Return the script of the first boot, with its values above it."""
    values = {
        "user": spec.default_user,
        "keys": "\n".join(spec.ssh_keys),
        "password": spec.password,
        "instance": instance_id(spec),
        "file_url": RELAYED_FILE if relay and spec.file_url else spec.file_url,
        "file_name": _file_name(spec.file_url),
        "script_url": RELAYED_SCRIPT if relay and spec.script_url else spec.script_url,
    }
    said = "".join(f"{name}={quote(value)}\n" for name, value in values.items())
    return f"#!/bin/sh\n{said}{_first_boot()}".encode()


def _file_name(url: str) -> str:
    """Return what a file fetched from there is called."""
    name = PurePosixPath(unquote(urlsplit(url).path, errors="replace")).name
    name = _UNFIT_FOR_A_FILE_NAME.sub("_", name).encode()[:_LONGEST_FILE_NAME_BYTES].decode(errors="ignore")
    return name if name not in {"", ".", ".."} else "file"


def _json(document: Mapping[str, object]) -> bytes:
    """Return a document as JSON that is YAML too, one value a line, as the micro guest reads it."""
    text = json.dumps(document, ensure_ascii=False, indent=1)
    return _UNFIT_FOR_YAML.sub(lambda found: f"\\u{ord(found[0]):04x}", text).encode()


@cache
def _first_boot() -> str:
    return (files("core.compute.qemu") / "first_boot.sh").read_text(encoding="utf-8")


def _iso(contents: Mapping[str, bytes]) -> bytes:
    # It takes a while to import, and a gateway may never make a seed.
    from pycdlib import PyCdlib  # noqa: PLC0415

    iso = PyCdlib()
    iso.new(interchange_level=3, vol_ident=LABEL, joliet=3, rock_ridge="1.09")
    for name, content in contents.items():
        plain = f"/{name.replace('-', '_').upper()[:8]}.;1"
        iso.add_fp(BytesIO(content), len(content), plain, rr_name=name, joliet_path=f"/{name}")
    written = BytesIO()
    iso.write_fp(written)
    iso.close()
    return written.getvalue()
