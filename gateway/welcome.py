"""What `onefleet serve` tells the person who started it: on the first start, all that is needed for a first machine."""

from dataclasses import dataclass, field
from pathlib import Path
from textwrap import fill

from core.catalogue import Product
from core.compute.simulated import SimulatedDriver
from core.ids import RegionId, ZoneId
from core.state import State
from gateway.config import Settings
from protocols.ec2 import ids

SIMULATED = SimulatedDriver.name
_WIDTH = 100


@dataclass(frozen=True, slots=True)
class FirstKey:
    """The API key that the first start made, and the operator who can sign in to the console if that is on.

    The secret and the password are told once.
    """

    account_id: int
    access_key: str
    secret_key: str = field(repr=False)
    email: str = ""
    password: str = field(default="", repr=False)


def greeting(address: str, settings: Settings) -> str:
    """Return what every start prints; `address` is the URL that is listened on."""
    public_url = settings.server.public_url
    listens = f"; it listens on {address}" if public_url else ""
    console = f"The console is at {public_url or address}{settings.console.path}\n" if settings.console else ""
    return f"Onefleet answers at {public_url or address} ({settings.mounts}){listens}\n{console}"


def welcome(endpoint: str, settings: Settings, state: State, key: FirstKey, *, notice: str, config_file: Path) -> str:
    """Return what the first start prints after its greeting."""
    product = _offer(state)
    parts = [_key_part(key)]
    if settings.console is not None:
        parts.append(_console_part(endpoint + settings.console.path, key))
    if product is not None and (path := _plain_path(settings)) is not None:
        is_real = settings.compute.driver != SIMULATED
        parts.append(_ec2_part(endpoint + path.rstrip("/"), state, product, key, is_real=is_real))
    if product is not None and settings.zerosix is not None:
        parts.append(_zerosix_part(endpoint + settings.zerosix.path, product, key))
    parts.append(_closing_part(settings, notice, config_file))
    return "\n" + "\n".join(parts)


def _plain_path(settings: Settings) -> str | None:
    """Return where AWS's own clients are answered under any name, if they are."""
    return next((each.path for each in settings.ec2 if each.dialect == "aws" and not each.host), None)


def _key_part(key: FirstKey) -> str:
    return f"""\
  This is the first start, so there is a new account "first" ({key.account_id}) with an API key.
  The secret is not shown again; `onefleet key renew {key.access_key}` makes another.

    access key  {key.access_key}
    secret key  {key.secret_key}
"""


def _console_part(url: str, key: FirstKey) -> str:
    return f"""\
  Sign in to the console as its operator; it will ask for a password of your own:

    console     {url}
    e-mail      {key.email}
    password    {key.password}
"""


def _ec2_part(endpoint: str, state: State, product: Product, key: FirstKey, *, is_real: bool) -> str:
    region = state.regions[_region_of(state, product)].name
    where = f"--endpoint-url {endpoint} --region {region}"
    key_pair = f"""
    aws ec2 create-key-pair {where} \\
      --key-name first --query KeyMaterial --output text >first.pem
    chmod 600 first.pem"""
    named = " --key-name first"
    login = """
  It may take a minute until it lets you in: with -i first.pem, as its tag aws:onefleet:ssh tells.
"""
    return f"""\
  Rent a machine as an EC2 client does, with the aws CLI:

    export AWS_ACCESS_KEY_ID={key.access_key}
    export AWS_SECRET_ACCESS_KEY={key.secret_key}{key_pair if is_real else ""}
    aws ec2 run-instances {where} \\
      --instance-type {product.instance_type} --image-id {ids.image_id(product.image_id)}{named if is_real else ""}
{login if is_real else ""}
  See it with boto3:

    python3 -c 'import boto3; print(boto3.client("ec2", "{region}",
      endpoint_url="{endpoint}",
      aws_access_key_id="{key.access_key}",
      aws_secret_access_key="{key.secret_key}").describe_instances())'
"""


def _zerosix_part(endpoint: str, product: Product, key: FirstKey) -> str:
    return f"""\
  Rent another as a ZeroSix client does, then list the orders of both:

    curl -u {key.access_key}:{key.secret_key} \\
      -H 'Content-Type: application/json' -X PUT {endpoint}orders \\
      -d '{{"product_id": {product.id}, "instances": 1}}'
    curl -u {key.access_key}:{key.secret_key} \\
      {endpoint}orders
"""


def _closing_part(settings: Settings, notice: str, config_file: Path) -> str:
    noticed = fill(notice, _WIDTH, initial_indent="  ", subsequent_indent="  ") + "\n" if notice else ""
    return f"""\
{noticed}  Configuration: {config_file}
  Data:          {settings.server.data_dir}
  Stop it with Ctrl+C; `onefleet --help` shows what else there is.
"""


def _offer(state: State) -> Product | None:
    """Return the first product that can be booked."""
    return next((product for product in state.products.values() if _open_zones(state, product)), None)


def _open_zones(state: State, product: Product) -> list[ZoneId]:
    open_zones = (zone for zone in state.zones.values() if zone.is_available and not zone.is_retired)
    return [zone.id for zone in open_zones if not product.is_retired and state.free(product, zone.id) > 0]


def _region_of(state: State, product: Product) -> RegionId:
    return state.zones[_open_zones(state, product)[0]].region_id
