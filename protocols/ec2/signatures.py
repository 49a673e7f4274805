"""Who signed a request, and whether the signature holds: Signature Version 4 (header or pre-signed URL) and Version 2.

Reading is apart from checking because the secret is in the store: `read_claim` names the access key, the caller looks
up its secret, `verify` decides. Sources: reference/gigenet-ec2.md (Signatures), reference/ec2-wire-rules.md (Requests).
"""

import hmac
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import MAXYEAR, MINYEAR, UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from hashlib import sha256
from itertools import product

from protocols.ec2 import sigv2, sigv4

Pairs = Sequence[tuple[str, str]]

_SKEW = timedelta(minutes=15)
_LONG_AGO = datetime.min.replace(tzinfo=UTC)

_V4_TIME = re.compile(r"\d{8}T\d{6}Z", re.ASCII)
_V4_HEADER_FIELD = re.compile(r"\b(Credential|SignedHeaders|Signature)=([^,\s]+)")
_V4_LIFETIME = re.compile(r"\d{1,6}", re.ASCII)
_V4_MAX_LIFETIME_SECONDS = 7 * 24 * 3600
_V4_HEADER_FIELDS = ("Credential", "SignedHeaders", "Signature")
_V4_QUERY_FIELDS = ("X-Amz-Credential", "X-Amz-SignedHeaders", "X-Amz-Signature", "X-Amz-Date", "X-Amz-Expires")

_V2_FIELDS = ("SignatureVersion", "SignatureMethod", "Signature")
# AWSKeyId is what GigeNET's printed PHP sample sends. Source: seed-gigenet-introduction.md.
_V2_KEY_NAMES = ("AWSAccessKeyId", "AWSKeyId")
_V2_TIME_NAMES = ("Timestamp", "Expires")
_V2_MARKS = {*_V2_KEY_NAMES, "SignatureVersion", "Signature"}


class SignatureError(Exception):
    """A request whose sender cannot be trusted; the text may be shown: no secret, signature or token is ever in it."""


class MissingSignature(SignatureError):
    """Nothing in the request says who sent it."""


class IncompleteSignature(SignatureError):
    """A part of the signature is missing, malformed or given twice."""


class UnsupportedAlgorithm(SignatureError):
    """The request is signed in a way that is not read here."""


class RequestExpired(SignatureError):
    """The time of the request is too far from now, in either direction."""


class SignatureMismatch(SignatureError):
    """The secret, or a signed part of the request, is not what the signer used."""


# Neither this nor the claims are frozen: they are made for every request, at three times the cost if they were.
@dataclass(slots=True, repr=False)
class SignedRequest:
    """What a signature covers of an HTTP request; text is the wire's UTF-8 with surrogateescape.

    `query` and `form` are the decoded pairs that the action will read, blank values kept: the signature is checked over
    these very pairs. `form` is empty if the body is no form.
    """

    method: str
    raw_path: str
    raw_query: str
    headers: Pairs
    body: bytes
    query: Pairs
    form: Pairs


@dataclass(slots=True, kw_only=True)
class Claim(ABC):
    """What a request says about its signer, not to be believed before `verify` returns."""

    access_key: str
    session_token: str | None = field(repr=False)
    signature: str = field(repr=False)
    not_before: datetime
    not_after: datetime
    region: str | None = None
    service: str | None = None

    @abstractmethod
    def signatures(self, request: SignedRequest, secret_key: str) -> Iterator[str]:
        """Yield the right signature for each accepted way to write the request down, the usual way first."""


def read_claim(request: SignedRequest) -> Claim:
    """Return who the request says it is from.

    Raises:
        MissingSignature: it is not signed at all.
        IncompleteSignature: a part of the signature is missing, malformed or given twice.
        UnsupportedAlgorithm: it is signed by something other than HMAC signature version 4 or 2.
    """
    headers = _joined(request.headers)
    authorization = headers.get("authorization", "")
    if authorization.startswith(f"{sigv4.ALGORITHM} "):
        return _read_v4_header(headers)
    if any(name == "X-Amz-Algorithm" for name, _ in request.query):
        return _read_v4_query(request, headers)
    if any(name in _V2_MARKS for name, _ in (*request.query, *request.form)):
        return _read_v2(request, headers)
    if authorization:
        raise UnsupportedAlgorithm(f"The Authorization header is not {sigv4.ALGORITHM}; sign with that.")
    raise MissingSignature("The request is not signed; sign it with Signature Version 4 or 2.")


def verify(claim: Claim, request: SignedRequest, secret_key: str, now: datetime) -> None:
    """Return if the request, from which the claim was read, is of now and signed with the secret.

    Raises:
        RequestExpired: it is 15 minutes or more old or early, or past the expiry that its signer set.
        SignatureMismatch: the secret, or a signed part of the request, is not what the signer used.
    """
    if now < claim.not_before:
        raise _expired("not valid before", claim.not_before, now)
    if now >= claim.not_after:
        raise _expired("valid only until", claim.not_after, now)
    found = claim.signature.encode("utf-8", "surrogateescape")
    for right in claim.signatures(request, secret_key):
        if hmac.compare_digest(found, right.encode()):
            return
    host = _joined(request.headers).get("host", "")
    raise SignatureMismatch(
        f"The signature does not fit the request that arrived, {request.method} {request.raw_path!r} at {host!r}; "
        "check the secret key, and that nothing on the way changes the Host header, path, query or body."
    )


def _expired(limits: str, limit: datetime, now: datetime) -> RequestExpired:
    return RequestExpired(
        f"The request is {limits} {limit:%Y-%m-%dT%H:%M:%SZ} and it is {now:%Y-%m-%dT%H:%M:%SZ} here; "
        "check the client's clock and sign the request again."
    )


# --- version 4


@dataclass(slots=True, kw_only=True)
class V4Claim(Claim):
    """A claim made with Signature Version 4; region and service are those of its scope."""

    region: str
    service: str
    timestamp: str
    is_presigned: bool
    signed_headers: str
    canonical_headers: str = field(repr=False)

    def signatures(self, request: SignedRequest, secret_key: str) -> Iterator[str]:
        """See `Claim.signatures`. The body is always signed; UNSIGNED-PAYLOAD is not taken for it."""
        date = self.timestamp[:8]
        sign = sigv4.signer(secret_key, date, self.region, self.service)
        scope = f"{date}/{self.region}/{self.service}/{sigv4.TERMINATOR}"
        tail = f"{self.canonical_headers}\n{self.signed_headers}\n{sha256(request.body).hexdigest()}"
        for query in self._queries(request):
            for path in sigv4.canonical_paths(request.raw_path):
                yield sigv4.signature(sign, self.timestamp, scope, f"{request.method}\n{path}\n{query}\n{tail}")

    def _queries(self, request: SignedRequest) -> Iterator[str]:
        if self.is_presigned:
            signed = [pair for pair in request.query if pair[0] != "X-Amz-Signature"]
            yield sigv4.canonical_query(signed)
            if self.session_token:
                # It may be added after signing. Source: vectors/sigv4/aws-c-auth-v4, omit_session_token.
                yield sigv4.canonical_query(pair for pair in signed if pair[0] != "X-Amz-Security-Token")
            return
        yield sigv4.canonical_query(request.query) if request.query else ""
        # curl 8 signs %2B where it sends '+'. Not taken in a pre-signed URL: whoever holds one could write '+' for its
        # %2B, and the action would read a blank. Source: curl, lib/http_aws_sigv4.c, canon_query.
        if "+" in request.raw_query:
            yield sigv4.canonical_query(sigv4.percent_decoded(request.raw_query))


def _read_v4_header(headers: Mapping[str, str]) -> V4Claim:
    parts = _v4_header_parts(headers["authorization"])
    return _v4_claim(parts, headers, _v4_header_time(headers), token=headers.get("x-amz-security-token"))


def _v4_header_parts(authorization: str) -> Sequence[str]:
    # Most signers write the signature last, and what is before it is the same in all their requests of a day.
    before, _, signature = authorization.rpartition("Signature=")
    if before.endswith((" ", ",")) and signature.isalnum() and (known := _v4_parts_before(before)) is not None:
        return *known, signature
    fields = _once(_V4_HEADER_FIELD.findall(authorization))
    return _all_of(_V4_HEADER_FIELDS, fields, "The Authorization header")


@lru_cache(maxsize=1024)
def _v4_parts_before(before: str) -> tuple[str, str] | None:
    """Return Credential and SignedHeaders if these two are all that stands before a signature, each once."""
    match sorted(_V4_HEADER_FIELD.findall(before)):
        case [("Credential", credential), ("SignedHeaders", signed_headers)]:
            return credential, signed_headers
    return None


def _read_v4_query(request: SignedRequest, headers: Mapping[str, str]) -> V4Claim:
    fields = _once(pair for pair in request.query if pair[0].startswith("X-Amz-"))
    if fields["X-Amz-Algorithm"] != sigv4.ALGORITHM:
        raise UnsupportedAlgorithm(f"X-Amz-Algorithm is not {sigv4.ALGORITHM}; sign with that.")
    *parts, timestamp, expires = _all_of(_V4_QUERY_FIELDS, fields, "The pre-signed URL")
    if not _V4_LIFETIME.fullmatch(expires) or not 1 <= int(expires) <= _V4_MAX_LIFETIME_SECONDS:
        raise IncompleteSignature(f"X-Amz-Expires is {expires!r}; write seconds from 1 to {_V4_MAX_LIFETIME_SECONDS}.")
    lifetime = timedelta(seconds=int(expires))
    return _v4_claim(parts, headers, timestamp, token=fields.get("X-Amz-Security-Token"), lifetime=lifetime)


def _v4_claim(
    parts: Sequence[str],
    headers: Mapping[str, str],
    timestamp: str,
    *,
    token: str | None,
    lifetime: timedelta | None = None,
) -> V4Claim:
    credential, signed_headers, signature = parts
    signed_at, not_before, not_after = _v4_window(timestamp)
    access_key, region, service = _v4_scope(credential, timestamp[:8])
    return V4Claim(
        access_key=access_key,
        session_token=token or None,
        signature=signature,
        not_before=not_before,
        not_after=not_after if lifetime is None else signed_at + lifetime,
        region=region,
        service=service,
        timestamp=timestamp,
        is_presigned=lifetime is not None,
        signed_headers=signed_headers,
        canonical_headers=_v4_canonical_headers(signed_headers, headers),
    )


@lru_cache(maxsize=256)  # the requests of one second share it
def _v4_window(timestamp: str) -> tuple[datetime, datetime, datetime]:
    """Return when the request was signed, and from when and until when it is good."""
    signed_at = _instant("X-Amz-Date", timestamp, _parse_v4_time)
    return signed_at, signed_at - _SKEW, signed_at + _SKEW


@lru_cache(maxsize=1024)
def _v4_scope(credential: str, today: str) -> tuple[str, str, str]:
    match credential.rsplit("/", 4):
        case [access_key, date, region, service, sigv4.TERMINATOR] if access_key and date == today:
            return access_key, region, service
    raise IncompleteSignature(
        f"Credential is not of the form KEY/DATE/REGION/SERVICE/{sigv4.TERMINATOR} with the request's own date, "
        f"{today}; sign the request again."
    )


def _v4_canonical_headers(signed_headers: str, headers: Mapping[str, str]) -> str:
    names = signed_headers.split(";")
    if "host" not in names:
        raise IncompleteSignature("SignedHeaders lacks host; sign the Host header.")
    if absent := [name for name in names if name not in headers]:
        raise IncompleteSignature(f"SignedHeaders names {', '.join(map(repr, absent))}, which did not arrive; send it.")
    return "".join([f"{name}:{headers[name]}\n" for name in names])


def _v4_header_time(headers: Mapping[str, str]) -> str:
    if timestamp := headers.get("x-amz-date"):
        return timestamp
    date = headers.get("date", "")
    if not date:
        raise IncompleteSignature("The request has no time; send X-Amz-Date.")
    return date if _V4_TIME.fullmatch(date) else f"{_instant('Date', date, parsedate_to_datetime):%Y%m%dT%H%M%SZ}"


def _parse_v4_time(text: str) -> datetime:
    if not _V4_TIME.fullmatch(text):
        raise ValueError(text)
    return datetime.fromisoformat(text)


# --- version 2


@dataclass(slots=True, kw_only=True)
class V2Claim(Claim):
    """A claim made with Signature Version 2, which signs every parameter of query and form, and no header but Host."""

    digest: str
    host: str

    def signatures(self, request: SignedRequest, secret_key: str) -> Iterator[str]:
        """See `Claim.signatures`."""
        path = request.raw_path or "/"
        for query, host in product(self._queries(request), sigv2.hosts(self.host)):
            yield sigv2.signature(secret_key, self.digest, method=request.method, host=host, path=path, query=query)

    def _queries(self, request: SignedRequest) -> Iterator[str]:
        yield sigv2.canonical_query((*request.query, *request.form))
        # GigeNET's printed PHP sample signs its query as it stands. Source: seed-gigenet-introduction.md.
        as_sent = sigv2.query_as_sent(request.raw_query)
        if as_sent is not None and request.method == "GET" and not request.form:
            yield as_sent


def _read_v2(request: SignedRequest, headers: Mapping[str, str]) -> V2Claim:
    fields = _once((*request.query, *request.form))
    if (version := fields.get("SignatureVersion", "2")) != "2":
        raise UnsupportedAlgorithm(f"SignatureVersion is {version!r}; sign with 2, or with Signature Version 4.")
    _, method, signature = _all_of(_V2_FIELDS, fields, "The request")
    if method not in sigv2.DIGESTS:
        raise UnsupportedAlgorithm(f"SignatureMethod is {method!r}; sign with {' or '.join(sigv2.DIGESTS)}.")
    _, access_key = _one_of(_V2_KEY_NAMES, fields)
    not_before, not_after = _v2_window(fields)
    return V2Claim(
        access_key=access_key,
        session_token=fields.get("SecurityToken") or None,
        signature=signature,
        not_before=not_before,
        not_after=not_after,
        digest=sigv2.DIGESTS[method],
        host=headers.get("host", ""),
    )


def _v2_window(fields: Mapping[str, str]) -> tuple[datetime, datetime]:
    name, text = _one_of(_V2_TIME_NAMES, fields)
    # The '+' of an offset that was not url-encoded arrives as a blank.
    time = _instant(name, text.replace(" ", "+"), datetime.fromisoformat)
    return (time - _SKEW, time + _SKEW) if name == "Timestamp" else (_LONG_AGO, time)


# --- both


def _joined(headers: Pairs) -> dict[str, str]:
    joined = {name.lower(): value for name, value in headers}
    text = " ".join(joined.values())
    # No name comes twice and no value has odd blanks: one look at all of them finds that most requests are so.
    if len(joined) == len(headers) and " ".join(text.split()) == text:
        return joined
    joined = {}
    for name, value in headers:
        key, text = name.lower(), " ".join(value.split())
        joined[key] = f"{joined[key]},{text}" if key in joined else text
    return joined


def _once(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    fields: dict[str, str] = {}
    for name, value in pairs:
        if name in fields:
            raise IncompleteSignature(f"{name!r} is given twice, so what was signed is ambiguous; send it once.")
        fields[name] = value
    return fields


def _all_of(names: Sequence[str], fields: Mapping[str, str], where: str) -> list[str]:
    if missing := [name for name in names if not fields.get(name)]:
        raise IncompleteSignature(f"{where} lacks {', '.join(missing)}; sign with all of {', '.join(names)}.")
    return [fields[name] for name in names]


def _one_of(names: Sequence[str], fields: Mapping[str, str]) -> tuple[str, str]:
    found = [(name, fields[name]) for name in names if fields.get(name)]
    if len(found) != 1:
        raise IncompleteSignature(f"The request has {len(found)} of {' and '.join(names)}; send one of them.")
    return found[0]


def _instant(name: str, text: str, parse: Callable[[str], datetime]) -> datetime:
    try:
        time = parse(text)
        time = time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise IncompleteSignature(f"{name} is {text!r}, which is no time; write it in ISO 8601, UTC.") from None
    # So that a window around it can be computed.
    if not MINYEAR < time.year < MAXYEAR:
        raise IncompleteSignature(f"{name} is {text!r}, a year in which nothing is signed; check the client's clock.")
    return time
