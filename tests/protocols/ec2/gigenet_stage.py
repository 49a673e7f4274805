"""A small provider as GigeNET's pages show it, a scene in which one request of each of its actions succeeds, and its
known clients: how they sign, byte by byte."""

import asyncio
import hmac
import sys
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qsl, quote, quote_plus, urlencode

from aiohttp import web
from aiohttp.test_utils import TestServer

from core.catalogue import Catalogue, ImageEntry, RegionEntry, ZoneEntry
from core.ids import InstanceId
from core.instances import Power
from core.orders import Booking
from core.service.addresses import Wish
from core.tags import ResourceKind
from protocols.boundary import Boundary, Limits
from protocols.ec2.app import by_host
from protocols.ec2.settings import Ec2Settings
from tests.fleetfixture import House, a_ware
from tests.protocols.ec2.served import Answer, Served, Watched
from tests.protocols.ec2.stage import PUBLIC_KEY

RECORDED = Path(__file__).parents[2] / "golden" / "ec2" / "gigenet"

DIALECTS = ("aws", "gigenet")

# The actions that GigeNET documents. Source: gigenet-ec2.md.
_NAMES = """
    RunInstances DescribeInstances DescribeInstanceStatus DescribeInstanceAttribute ModifyInstanceAttribute
    ResetInstanceAttribute StartInstances StopInstances RebootInstances TerminateInstances GetPasswordData
    DescribeInstanceTypes DescribeVmTypes DescribeReservedInstances AllocateAddress AssociateAddress
    DisassociateAddress ReleaseAddress DescribeAddresses AssignPublicIpAddress UnassignPublicIpAddress DescribeImages
    DescribeImageAttribute DescribeAvailabilityZones DescribeRegions CreateKeyPair ImportKeyPair DescribeKeyPairs
    DeleteKeyPair CreateTags DeleteTags DescribeTags GetSessionToken
"""
ACTIONS = _NAMES.split()

_SIZES = {
    "gcl.1": (1, 1024, 30),
    "gcl.2": (1, 2048, 60),
    "gcl.max.8": (2, 8192, 180),
}
CATALOGUE = Catalogue(
    regions=[RegionEntry("ord1", "north-america"), RegionEntry("lax1", "north-america")],
    zones=[
        ZoneEntry("ord1", "ord1", is_available=True, pool=("203.0.113.0/29",)),
        ZoneEntry("lax1", "lax1", is_available=False, pool=("203.0.113.8/29",)),
    ],
    images=[
        ImageEntry("ubuntu64_14.04.1", "Ubuntu 14.04.1", "Ubuntu 14.04.1 LTS AMD64", "x86_64", "linux", "root"),
        ImageEntry("centos64_6.4", "CentOS 6.4", "CentOS 6.4 AMD64", "x86_64", "linux", "root"),
    ],
    products=[
        a_ware(
            name,
            "0.015",
            {"ord1": 20, "lax1": 20},
            vcpus=vcpus,
            memory_mib=memory_mib,
            disk_gib=disk_gib,
            image="ubuntu64_14.04.1",
        )
        for name, (vcpus, memory_mib, disk_gib) in _SIZES.items()
    ],
)


async def set_stage(house: House) -> None:
    """Let our account have a key pair, two machines booked by the month, one that runs and one that is stopped, tags,
    and three addresses: one of the first machine's own, one bound to it, and one that is free."""
    await house.administration.set_catalogue(CATALOGUE)
    core, caller = house.core, replace(house.caller(), sees_all_regions=True)
    await core.import_key_pair(caller, "mine", PUBLIC_KEY.encode(), {})
    product = next(each for each in (await core.fleet(caller)).products() if each.slug == "gcl.2")
    for _ in range(2):
        await core.book(
            caller,
            Booking(
                product.id,
                key_name="mine",
                wants_password=True,
                term_hours=730,
                tags={ResourceKind.INSTANCE: {"testtag": ""}},
            ),
        )
    await house.seen(Power.RUNNING, [1], private_address="10.60.235.153", public_address="198.51.100.150")
    await house.seen(Power.RUNNING, [2], private_address="10.60.235.154", public_address="198.51.100.151")
    await core.stop(caller, [InstanceId(2)], is_forced=False)
    await house.seen(Power.STOPPED, [2], private_address="10.60.235.154")
    await core.addresses.assign(caller, InstanceId(1))
    bound = await core.addresses.allocate(caller, Wish())
    await core.addresses.associate(caller, bound.id, InstanceId(1), may_move=True)
    await core.addresses.allocate(caller, Wish())


def recorded(action: str, dialect: str) -> str:
    """Return the query of the recorded request of an action, without what signs it."""
    return (RECORDED / dialect / f"{action}.query").read_text().strip()


# --- the Go client


async def go(ec2: Served, action: str, query: str = "", *, path: str = "/", host: str = "") -> Answer:
    """Return the answer to a request as the Go client makes it: GET, version 2, of 2013, its whole query encoded anew.

    Source: gigenet-ec2.md; go-aws-auth, Sign2.
    """
    key = ec2.house.ours.key
    pairs = {
        **dict(parse_qsl(query, keep_blank_values=True)),
        "Action": action,
        "Version": "2013-10-15",
        "AWSAccessKeyId": key.access_key,
        "SignatureVersion": "2",
        "SignatureMethod": "HmacSHA256",
        "Timestamp": f"{ec2.house.clock.now():%Y-%m-%dT%H:%M:%S}",
    }
    canonical = urlencode(sorted(pairs.items()), quote_via=quote, safe="")
    signed = urlencode(sorted(pairs.items()))
    signature = _signature(key.secret_key, f"GET\n{host or ec2.host}\n{path}\n{canonical}")
    target = f"{path}?{signed}&Signature={quote_plus(signature)}"
    return await ec2.send("GET", target, [("Host", host or ec2.host)])


# --- the printed PHP


async def php(ec2: Served, action: str, parameters: str = "") -> Answer:
    """Return the answer to a request as the printed sample makes it: signed in the order sent, its host without a port.

    Source: seed-gigenet-introduction.md.
    """
    key, moment = ec2.house.ours.key, quote_plus(f"{ec2.house.clock.now():%Y-%m-%dT%H:%M:%S+00:00}")
    query = (
        f"AWSKeyId={key.access_key}&Action={action}&SignatureMethod=HmacSHA256&SignatureVersion=2"
        f"&Timestamp={moment}{parameters}"
    )
    name = ec2.host.rpartition(":")[0]
    signature = _signature(key.secret_key, f"GET\n{name}\n/\n{query}")
    return await ec2.send("GET", f"/?{query}&Signature={quote_plus(signature)}")


def _signature(secret_key: str, text: str) -> str:
    return b64encode(hmac.digest(secret_key.encode(), text.encode(), "sha256")).decode()


# --- the Ansible module


async def boto2(ec2: Served, program: str) -> asyncio.subprocess.Process:
    """Start a program in which `conn` is boto 2's connection, made as the Ansible module makes it; it signs by itself,
    so that the house's clock must be right."""
    key = ec2.house.ours.key
    opened = f"import boto, json, time\nconn = boto.connect_ec2_endpoint({ec2.url!r}, {key.access_key!r}, {key.secret_key!r})\n"
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-W",
        "ignore",
        "-c",
        opened + program,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


# --- one fleet, mounted twice


@asynccontextmanager
async def served_twice(house: House, aws: Ec2Settings, gigenet: Ec2Settings) -> AsyncIterator[Served]:
    """Serve the house's EC2 on one port to two mounts; those of one path share it by their hosts' names."""
    boundary = Boundary(limits=Limits(), proxies=(), public_url=None, record=lambda *_: None)
    front_ends = [Watched(house.core, boundary, settings) for settings in (aws, gigenet)]
    app = web.Application()
    for path in {settings.path for settings in (aws, gigenet)}:
        app.router.add_route("*", path, by_host([each for each in front_ends if each.settings.path == path], boundary))
    server = TestServer(app)
    await server.start_server()
    running = Served(house, f"{server.host}:{server.port}", front_ends[0], [])
    try:
        yield running
    finally:
        running.close()
        await server.close()
