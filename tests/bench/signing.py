"""Requests as whole signed byte strings, written independently of the gateway's own code.

V4 requests carry the headers of botocore's, so that a server has as much to read as from an SDK.
"""

import hashlib
import hmac
import secrets
import time
import uuid
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlencode

EC2_VERSION = "2016-11-15"

_REGION = "us-east-1"
_USER_AGENT = (
    "Boto3/1.44.5 md/Botocore#1.44.5 ua/2.1 os/linux#6.1.0 md/arch#x86_64 lang/python#3.11.7"
    " md/pyimpl#CPython m/Z,b,D cfg/retry-mode#standard Botocore/1.44.5"
)
_FORM = "application/x-www-form-urlencoded; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Key:
    """An API key, and the HOST:PORT at which it is used."""

    host: str
    access_key: str
    secret_key: str


def ec2_request(key: Key, action: str, parameters: Mapping[str, str]) -> bytes:
    """Return a POST signed with Signature Version 4."""
    body = urlencode({"Action": action, "Version": EC2_VERSION, **parameters}).encode()
    moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    scope = f"{moment[:8]}/{_REGION}/ec2/aws4_request"
    signed = "content-type;host;x-amz-date"
    canonical = (
        f"POST\n/\n\ncontent-type:{_FORM}\nhost:{key.host}\nx-amz-date:{moment}\n\n"
        f"{signed}\n{hashlib.sha256(body).hexdigest()}"
    )
    text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signature = hmac.digest(_v4_key(key.secret_key, scope), text.encode(), "sha256").hex()
    head = (
        f"POST / HTTP/1.1\r\nHost: {key.host}\r\nAccept-Encoding: identity\r\nContent-Type: {_FORM}\r\n"
        f"User-Agent: {_USER_AGENT}\r\nX-Amz-Date: {moment}\r\n"
        f"Authorization: AWS4-HMAC-SHA256 Credential={key.access_key}/{scope}, "
        f"SignedHeaders={signed}, Signature={signature}\r\n"
        f"amz-sdk-invocation-id: {uuid.uuid4()}\r\namz-sdk-request: attempt=1\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def booking(key: Key, image: str, instance_type: str, count: int = 1, **more: str) -> bytes:
    """Return a RunInstances with a client token of its own, as every SDK sends it."""
    parameters = {
        "ImageId": image,
        "InstanceType": instance_type,
        "MinCount": str(count),
        "MaxCount": str(count),
        "ClientToken": str(uuid.uuid4()),
        **more,
    }
    return ec2_request(key, "RunInstances", parameters)


def zerosix_request(key: Key, path: str) -> bytes:
    """Return a GET signed with OAuth 1.0a, HMAC-SHA1, in the Authorization header; good for one use."""
    parameters = {
        "oauth_consumer_key": key.access_key,
        "oauth_nonce": secrets.token_hex(16),
        "oauth_signature_method": "HMAC-SHA1",
        "oauth_timestamp": str(int(time.time())),
        "oauth_version": "1.0",
    }
    pairs = "&".join(f"{name}={quote(value, safe='')}" for name, value in sorted(parameters.items()))
    base = "&".join(["GET", quote(f"http://{key.host}{path}", safe=""), quote(pairs, safe="")])
    signature = b64encode(hmac.digest(f"{key.secret_key}&".encode(), base.encode(), "sha1")).decode()
    items = {**parameters, "oauth_signature": signature}.items()
    authorization = ", ".join(f'{name}="{quote(value, safe="")}"' for name, value in items)
    head = (
        f"GET {path} HTTP/1.1\r\nHost: {key.host}\r\nAccept: application/json\r\nAccept-Encoding: identity\r\n"
        f"User-Agent: python-requests/2.34.2\r\nAuthorization: OAuth {authorization}\r\n\r\n"
    )
    return head.encode()


def plain_request(host: str, path: str, method: str = "GET") -> bytes:
    """Return an unsigned request without a body."""
    length = "Content-Length: 0\r\n" if method == "POST" else ""
    return f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n{length}\r\n".encode()


def page_request(host: str, path: str, cookie: str, encoding: str = "gzip") -> bytes:
    """Return a GET of a page as a browser sends it that is signed in by a cookie."""
    head = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nAccept: text/html\r\nAccept-Encoding: {encoding}\r\n"
    return f"{head}Cookie: {cookie}\r\n\r\n".encode()


def form_request(host: str, path: str, fields: Mapping[str, str], cookie: str = "") -> bytes:
    """Return a form as a browser sends it."""
    body = urlencode(fields)
    head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nCookie: {cookie}\r\n"
    return (
        f"{head}Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
    )


def _v4_key(secret_key: str, scope: str) -> bytes:
    key = f"AWS4{secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
