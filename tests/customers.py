"""A customer with plain clients for both protocols, quick enough for storms; its signatures are not the gateway's code.

The libraries that customers really use are tried in tests of their own.
"""

import base64
import hashlib
import hmac
import http.client
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self
from urllib.parse import quote, urlencode, urlsplit
from xml.etree import ElementTree as ET

from core.clock import Clock, SystemClock
from tests.running import Keys

PATIENCE_SECONDS = 20.0

Parameters = Mapping[str, object]

_API_VERSION = "2016-11-15"
_REGION = "eu-1"
_FORM = "application/x-www-form-urlencoded; charset=utf-8"
_ZEROSIX_PATH = "/wp-json/api/v1/"


@dataclass(frozen=True)
class Reply:
    """An answer: `code` is the protocol's word for a refusal, empty if there is none; `document` what it says."""

    status: int
    code: str
    document: Any


@dataclass(frozen=True)
class Request:
    """A whole request, signed."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    def as_bytes(self) -> bytes:
        """Return it as it goes over the wire."""
        head = f"{self.method} {self.target} HTTP/1.1\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        return f"{head}Content-Length: {len(self.body)}\r\n\r\n".encode() + self.body


class Customer:
    """An account's user. One connection is kept, so each thread needs a customer of its own.

    What goes wrong with the connection is raised: `OSError` or `http.client.HTTPException`.
    """

    def __init__(self, endpoint: str, keys: Keys, clock: Clock | None = None) -> None:
        self.keys, self._clock = keys, clock or SystemClock()
        self.host = urlsplit(endpoint).netloc
        self._connection = http.client.HTTPConnection(self.host, timeout=PATIENCE_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connection; the next request makes another."""
        self._connection.close()

    # --- the two protocols

    def ec2(self, action: str, **parameters: object) -> Reply:
        """Return the answer to an action. Lists are written as EC2's: `InstanceId=[..]` is InstanceId.1 and so on."""
        return read_ec2(*self.send(self.ec2_request(action, parameters)))

    def zerosix(self, method: str, path: str, document: object = None) -> Reply:
        """Return the answer to a request signed with OAuth 1.0a."""
        return read_zerosix(*self.send(self.zerosix_request(method, path, document)))

    def zerosix_basic(self, method: str, path: str, document: object = None) -> Reply:
        """Return the answer to a request that shows its secret, as one may on loopback."""
        return read_zerosix(*self.send(self.zerosix_request(method, path, document, is_signed=False)))

    def send(self, request: Request) -> tuple[int, bytes]:
        """Return the status and the body of what comes back."""
        try:
            self._connection.request(request.method, request.target, request.body, dict(request.headers))
            response = self._connection.getresponse()
            return response.status, response.read()
        except BaseException:
            self._connection.close()
            raise

    # --- requests

    def ec2_request(self, action: str, parameters: Parameters) -> Request:
        """Return an action as a form, signed with Signature Version 4."""
        body = urlencode({"Action": action, "Version": _API_VERSION, **_flat(parameters)}).encode()
        moment = f"{self._clock.now():%Y%m%dT%H%M%SZ}"
        headers = {"Content-Type": _FORM, "Host": self.host, "X-Amz-Date": moment}
        names = ";".join(headers).lower()
        lines = "".join(f"{name.lower()}:{value}\n" for name, value in headers.items())
        canonical = f"POST\n/\n\n{lines}\n{names}\n{hashlib.sha256(body).hexdigest()}"
        scope = f"{moment[:8]}/{_REGION}/ec2/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        key = f"AWS4{self.keys.secret_key}".encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        signature = hmac.digest(key, text.encode(), "sha256").hex()
        credential = f"Credential={self.keys.access_key}/{scope}"
        authorization = f"AWS4-HMAC-SHA256 {credential}, SignedHeaders={names}, Signature={signature}"
        return Request("POST", "/", {**headers, "Authorization": authorization}, body)

    def zerosix_request(self, method: str, path: str, document: object = None, *, is_signed: bool = True) -> Request:
        """Return a request with a JSON body, if it has a document."""
        target = _ZEROSIX_PATH + path
        authorization = self._oauth(method, target) if is_signed else self._basic()
        headers = {"Host": self.host, "Content-Type": "application/json", "Authorization": authorization}
        return Request(method, target, headers, json.dumps(document).encode() if document is not None else b"")

    def _oauth(self, method: str, target: str) -> str:
        parameters = {
            "oauth_consumer_key": self.keys.access_key,
            "oauth_nonce": secrets.token_hex(16),
            "oauth_signature_method": "HMAC-SHA1",
            "oauth_timestamp": str(int(self._clock.now().timestamp())),
            "oauth_version": "1.0",
        }
        pairs = "&".join(f"{name}={value}" for name, value in sorted(parameters.items()))
        base = "&".join(quote(part, safe="") for part in (method, f"http://{self.host}{target}", pairs))
        signature = base64.b64encode(hmac.digest(f"{self.keys.secret_key}&".encode(), base.encode(), "sha1")).decode()
        items = {**parameters, "oauth_signature": signature}.items()
        return "OAuth " + ", ".join(f'{name}="{quote(value, safe="")}"' for name, value in items)

    def _basic(self) -> str:
        return "Basic " + base64.b64encode(f"{self.keys.access_key}:{self.keys.secret_key}".encode()).decode()


# --- answers


def read_ec2(status: int, body: bytes) -> Reply:
    """Return an answer of EC2's. Lists are lists, empty elements are empty text, and everything else is text."""
    document = _plain(ET.fromstring(body))
    errors = document.get("Errors")
    return Reply(status, errors["Error"]["Code"] if errors else "", document)


def read_zerosix(status: int, body: bytes) -> Reply:
    """Return an answer of ZeroSix's. Some refusals have status 200: only the code tells."""
    document = json.loads(body) if body else None
    return Reply(status, document.get("code", "") if isinstance(document, dict) else "", document)


def machines_in(reply: Reply) -> list[dict[str, Any]]:
    """Return the machines of a description or of a booking, each with its `reservationId`."""
    reservations = reply.document.get("reservationSet", [reply.document]) or []
    return [
        {**machine, "reservationId": each["reservationId"]} for each in reservations for machine in each["instancesSet"]
    ]


def number_of(ec2_id: str) -> int:
    """Return the row's number that an id of EC2's spells."""
    return int(ec2_id.partition("-")[2], 16)


def spelled(instance_id: int) -> str:
    """Return an instance's id as EC2 writes it."""
    return f"i-{instance_id:017x}"


def moment_of(text: str) -> datetime:
    """Return a time that EC2 wrote."""
    return datetime.fromisoformat(text)


def _flat(parameters: Parameters) -> dict[str, str]:
    flat = {}
    for name, value in parameters.items():
        wire = name.replace("__", ".")
        if isinstance(value, list):
            flat.update({f"{wire}.{index}": str(each) for index, each in enumerate(value, start=1)})
        else:
            flat[wire] = str(value)
    return flat


def _plain(element: ET.Element) -> Any:
    children = list(element)
    if not children:
        return element.text or ""
    if {_name(child) for child in children} == {"item"}:
        return [_plain(child) for child in children]
    return {_name(child): _plain(child) for child in children}


def _name(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]
