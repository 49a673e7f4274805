"""What customers paste to use a fresh API key: for the tools of either protocol, ready to run."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from shlex import quote as shell

from protocols.console.settings import Endpoint
from protocols.explorable import Origin, php_text

PROFILE = "onefleet"


@dataclass(frozen=True, slots=True)
class Pair:
    """A key with its secret, and where it is used."""

    access_key: str
    secret_key: str = field(repr=False)
    region: str
    origin: Origin


@dataclass(frozen=True, slots=True)
class Piece:
    """A text to copy, and where it goes."""

    where: str
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Snippet:
    """How one tool is told of the key."""

    title: str
    hint: str
    pieces: Sequence[Piece]


def snippets(pair: Pair, endpoints: Sequence[Endpoint]) -> Sequence[Snippet]:
    """Return the snippets for the endpoints that there are; of each protocol the first one, in AWS's own dialect."""
    found: dict[str, Endpoint] = {}
    for endpoint in endpoints:
        if endpoint.dialect in ("", "aws"):
            found.setdefault(endpoint.name, endpoint)
    return [
        snippet
        for name, make in _MAKERS.items()
        if name in found
        for snippet in make(pair, url_of(pair.origin, found[name]))
    ]


def url_of(origin: Origin, endpoint: Endpoint) -> str:
    """Return where a protocol is answered, without a slash at its end."""
    return f"{origin.called(endpoint.host).url}{endpoint.path}".rstrip("/")


# --- EC2


def _for_ec2(pair: Pair, url: str) -> Iterator[Snippet]:
    yield Snippet(
        "aws command line",
        f"Other tools of AWS find the profile “{PROFILE}” as well.",
        [
            Piece("~/.aws/credentials", _credentials(pair)),
            Piece("~/.aws/config", f"[profile {PROFILE}]\nregion = {pair.region}\nendpoint_url = {url}\n"),
            Piece("in a terminal", f"aws --profile {PROFILE} ec2 describe-instances\n"),
        ],
    )
    yield Snippet("boto3", "The key may also stand in the profile above.", [Piece("Python", _boto3(pair, url))])
    yield Snippet(
        "Terraform",
        f"The key is read from the profile “{PROFILE}” above, so that it does not end up beside your code.",
        [Piece("a .tf file", _terraform(pair, url))],
    )


def _credentials(pair: Pair) -> str:
    return f"[{PROFILE}]\naws_access_key_id = {pair.access_key}\naws_secret_access_key = {pair.secret_key}\n"


def _boto3(pair: Pair, url: str) -> str:
    return f"""\
import boto3

ec2 = boto3.client(
    "ec2",
    region_name={pair.region!r},
    endpoint_url={url!r},
    aws_access_key_id={pair.access_key!r},
    aws_secret_access_key={pair.secret_key!r},
)
for page in ec2.get_paginator("describe_instances").paginate():
    for reservation in page["Reservations"]:
        for machine in reservation["Instances"]:
            print(machine["InstanceId"], machine["InstanceType"], machine["State"]["Name"])
"""


def _terraform(pair: Pair, url: str) -> str:
    return f"""\
terraform {{
  required_providers {{
    aws = {{ source = "hashicorp/aws" }}
  }}
}}

provider "aws" {{
  profile                = "{PROFILE}"
  region                 = {_hcl(pair.region)}
  skip_region_validation = true # the provider knows the regions of AWS only
  endpoints {{
    ec2 = {_hcl(url)}
    sts = {_hcl(url)}
  }}
}}

data "aws_availability_zones" "all" {{}}

output "zones" {{ value = data.aws_availability_zones.all.names }}
"""


def _hcl(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("${", "$${").replace("%{", "%%{")


# --- ZeroSix


def _for_zerosix(pair: Pair, url: str) -> Iterator[Snippet]:
    if pair.origin.is_private:
        login = f"{pair.access_key}:{pair.secret_key}"
        text = f"curl -u {shell(login)} {shell(f'{url}/products')}\n"
        yield Snippet("curl", "The key goes along as it is, so only where nobody reads along.", [Piece("shell", text)])
    yield Snippet(
        "curl with OAuth",
        "A script that signs with OpenSSL and asks with curl. The secret shows in the list of processes while it runs:"
        " on a machine that you share, use one of the libraries below.",
        [
            Piece("zerosix.sh", _shell(pair, url)),
            Piece("in a terminal", "bash zerosix.sh GET products orderby=price\nbash zerosix.sh GET orders\n"),
        ],
    )
    yield Snippet("PHP", "With the extension OAuth of PECL, Debian's php-oauth.", [Piece("PHP", _php(pair, url))])
    yield Snippet(
        "Python with OAuth", "With requests-oauthlib, from PyPI.", [Piece("Python", _requests_oauthlib(pair, url))]
    )


def _shell(pair: Pair, url: str) -> str:
    # RFC 5849, section 3.4: what is signed are method, URL and parameters, sorted, each percent-encoded once more.
    return f"""\
#!/bin/bash
# bash zerosix.sh METHOD ROUTE [NAME=VALUE ...]
key={shell(pair.access_key)}
secret={shell(pair.secret_key)}
url={shell(url)}/"$2" method="$1"
shift 2

encode() {{
  local LC_ALL=C text="$1" code i
  for ((i = 0; i < ${{#text}}; i++)); do
    case "${{text:i:1}}" in
      [A-Za-z0-9._~-]) printf %s "${{text:i:1}}" ;;
      *) printf -v code %d "'${{text:i:1}}"; printf '%%%02X' $((code & 255)) ;;
    esac
  done
}}

pairs=(oauth_consumer_key="$key" oauth_nonce="$(openssl rand -hex 16)" oauth_signature_method=HMAC-SHA1
  oauth_timestamp="$(date +%s)" oauth_version=1.0)
for pair; do pairs+=("$(encode "${{pair%%=*}}")=$(encode "${{pair#*=}}")"); done
query="$(printf '%s\\n' "${{pairs[@]}}" | LC_ALL=C sort -t = -k 1,1 -k 2 | paste -s -d '&' -)"
signature="$(printf %s "$method&$(encode "$url")&$(encode "$query")" |
  openssl dgst -sha1 -hmac "$secret&" -binary | openssl base64)"
curl -sS -X "$method" "$url?$query&oauth_signature=$(encode "$signature")"
"""


def _php(pair: Pair, url: str) -> str:
    return f"""\
<?php
$oauth = new OAuth({php_text(pair.access_key)}, {php_text(pair.secret_key)});
try {{
    $oauth->fetch({php_text(f"{url}/products")}, null, OAUTH_HTTP_METHOD_GET);
    print_r(json_decode($oauth->getLastResponse(), true));
}} catch (OAuthException $refusal) {{
    echo $refusal->lastResponse, "\\n";
}}
"""


def _requests_oauthlib(pair: Pair, url: str) -> str:
    return f"""\
from requests_oauthlib import OAuth1Session

zerosix = OAuth1Session({pair.access_key!r}, {pair.secret_key!r})
answer = zerosix.get({f"{url}/products"!r}, timeout=30)
print(answer.status_code, answer.json())
"""


_MAKERS: dict[str, Callable[[Pair, str], Iterator[Snippet]]] = {"EC2": _for_ec2, "ZeroSix": _for_zerosix}
