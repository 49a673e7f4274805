"""OAuth 1.0a, one-legged: who signed this request, and what exactly did they sign.

Pure. The caller brings the request, the secret and the time, and refuses a nonce that was used before.
"""

import re
from binascii import b2a_base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from hmac import compare_digest
from urllib.parse import quote, unquote

from protocols.mac import keyed

Pairs = Sequence[tuple[str, str]]
Signed = tuple[str, str]  # the base string URI and the normalized parameters

TIMESTAMP_WINDOW = timedelta(minutes=15)  # both ways. Source: WooCommerce, class-wc-rest-authentication.php
NONCE_LENGTH_MAX = 255
PARAMETERS_MAX = 1000  # PHP's max_input_vars; every rung below costs a microsecond or two for each
TIMESTAMP_LENGTH_MAX = 12

DEFAULT_PORTS = {"http": ":80", "https": ":443"}

# In the order in which WooCommerce names the missing ones.
REQUIRED = ("oauth_consumer_key", "oauth_timestamp", "oauth_nonce", "oauth_signature", "oauth_signature_method")
SAME_WHEN_REPEATED = {*REQUIRED, "oauth_token", "oauth_version"} - {"oauth_signature"}
OAUTH_MARKS = {"oauth_consumer_key", "oauth_signature"}

RESERVED = re.compile(r"[^A-Za-z0-9\-._~]")
BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")

# Quotes, and the space after a comma, are optional. Source: WooCommerce, parse_header.
# Every quantifier is possessive, so that no header costs more than its length.
ITEM = r'([^\s=,"]++)\s*+=\s*+(?:"([^"]*+)"|([^\s,"]*+))'
HEADER_ITEM = re.compile(ITEM)
HEADER = re.compile(rf"\s*+(?:{ITEM}\s*+(?:,\s*+|$))*+")


class OAuthError(Exception):
    """A refusal of the request's OAuth parameters, answered with 401; its text may be shown and holds no secret."""

    code = "woocommerce_rest_authentication_error"


class MalformedParameters(OAuthError):
    """The header, the query or the form cannot be read."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"Malformed OAuth request - {reason}.")


class MissingParameters(OAuthError):
    """Some OAuth parameters are there, and these are not, or are empty."""

    code = "woocommerce_rest_authentication_missing_parameter"

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(f"Missing OAuth parameter{'s' if len(names) > 1 else ''} {', '.join(names)}")
        self.names = tuple(names)


class InvalidSignatureMethod(OAuthError):
    """The signature method is none of `SignatureMethod`."""

    def __init__(self) -> None:
        super().__init__("Invalid signature - signature method is invalid.")


class InvalidTimestamp(OAuthError):
    """The time stamp is no number, or further than `TIMESTAMP_WINDOW` from now."""

    def __init__(self) -> None:
        super().__init__("Invalid timestamp.")


class InvalidNonce(OAuthError):
    """The nonce cannot be stored."""

    def __init__(self) -> None:
        super().__init__(f"Invalid nonce - use 1 to {NONCE_LENGTH_MAX} printable characters.")


class InvalidSignature(OAuthError):
    """The signature is not this secret's over this request."""

    def __init__(self, advice: str = "") -> None:
        super().__init__(f"Invalid signature - provided signature does not match.{advice}")


class UnsupportedToken(InvalidSignature):
    """The signature does not match, and a token was sent: most likely a token secret is in the key."""

    def __init__(self) -> None:
        super().__init__(" This API is one-legged: leave the token and its secret empty.")


class SignatureMethod(StrEnum):
    """The accepted methods; PLAINTEXT would show the secret, RSA-SHA1 needs a key that nobody has registered."""

    HMAC_SHA1 = "HMAC-SHA1"
    HMAC_SHA256 = "HMAC-SHA256"


HASHES = {SignatureMethod.HMAC_SHA1: "sha1", SignatureMethod.HMAC_SHA256: "sha256"}


# Neither this nor the claim is frozen: they are made for every request, at three times the cost if they were.
@dataclass(slots=True)
class SignedRequest:
    """What a signature can cover of an HTTP request, as the client sent it to the public URL.

    `method` is the real one, whatever an override header says; `host` may carry a port; `raw_path` and `raw_query`
    are not decoded; `form` is the decoded body, empty unless it is application/x-www-form-urlencoded.
    """

    method: str
    scheme: str
    host: str
    raw_path: str
    raw_query: str
    authorization: str | None = None
    form: Pairs = ()


@dataclass(slots=True)
class Claim:
    """What a request says of its signer; nothing of it is proven before `verify`.

    `parameters` are all that may be signed, in wire order: query, form, Authorization header.
    """

    consumer_key: str
    timestamp: int
    nonce: str
    method: SignatureMethod
    signature: str = field(repr=False)
    parameters: Pairs = field(repr=False)
    has_token: bool = False


def read_claim(request: SignedRequest) -> Claim | None:
    """Find the OAuth parameters, wherever they are; None if the request does not try OAuth 1.0a at all.

    Raises:
        OAuthError: it tries, but a parameter is missing, unreadable or of a kind that is not accepted.
    """
    in_header = _is_oauth(request.authorization)
    if not (in_header or "oauth_" in request.raw_query or _has_marks(request.form)):
        return None
    queried = _query_parameters(request.raw_query) if request.raw_query else ()
    pairs = [*queried, *request.form, *_header_parameters(request.authorization)]
    if not (in_header or _has_marks(pairs)):
        return None
    if len(pairs) > PARAMETERS_MAX:
        raise MalformedParameters(f"it has more than {PARAMETERS_MAX} parameters")
    return _claim(pairs)


def verify(claim: Claim, request: SignedRequest, consumer_secret: str, now: datetime) -> Pairs:
    """Check time stamp and signature; return the parameters that the handler must read, and no others.

    They are what was signed, without the oauth_* ones. A name is repeated only if the client signed each copy: to read
    the query again would let someone on the path put an unsigned first copy before a signed one.

    Whether the nonce is new is for the caller to check, after this.

    Raises:
        OAuthError: not this secret's signature, or not of this time.
    """
    if abs(claim.timestamp - now.timestamp()) > TIMESTAMP_WINDOW.total_seconds():
        raise InvalidTimestamp
    rung = accepting_rung(claim, request, consumer_secret)
    own = [pair for pair in claim.parameters if not pair[0].startswith("oauth_")]
    return own if rung == _EVERY_COPY_SIGNED else list(dict(own).items())


def accepting_rung(claim: Claim, request: SignedRequest, consumer_secret: str) -> str:
    """Name the first of `RUNGS` under which the signature matches.

    Raises:
        OAuthError: it matches under none.
    """
    key = f"{encode(consumer_secret)}&"
    try:
        rung = next((name for name in RUNGS if _accepts(name, claim, request, key)), None)
    except UnicodeError:
        raise MalformedParameters("it is not UTF-8") from None
    if rung is None:
        raise UnsupportedToken if claim.has_token else InvalidSignature
    return rung


def _accepts(rung: str, claim: Claim, request: SignedRequest, key: str) -> bool:
    signed = RUNGS[rung](request, claim.parameters)
    if signed is None:
        return False
    expected = sign(claim.method, key, join_base_string(request.method, *signed))
    return compare_digest(expected.encode(), claim.signature.encode())


# --- reading


def _is_oauth(authorization: str | None) -> bool:
    return authorization is not None and authorization[:6].rstrip().lower() == "oauth"


def _has_marks(pairs: Pairs) -> bool:
    return any(name in OAUTH_MARKS for name, _ in pairs)


def _query_parameters(raw_query: str) -> Pairs:
    _refuse_broken_escapes(raw_query)
    fields = (part.partition("=") for part in raw_query.replace("+", " ").split("&") if part)
    return [(_decode(name), _decode(value)) for name, _, value in fields]


def _header_parameters(authorization: str | None) -> Pairs:
    if authorization is None or not _is_oauth(authorization):
        return ()
    if not HEADER.fullmatch(authorization, 6):
        raise MalformedParameters('write the header as OAuth name="value",name="value"')
    _refuse_broken_escapes(authorization)
    items = HEADER_ITEM.findall(authorization, 6)
    return [(_decode(name), _decode(quoted or bare)) for name, quoted, bare in items if name != "realm"]


def _refuse_broken_escapes(raw: str) -> None:
    if BROKEN_ESCAPE.search(raw):
        raise MalformedParameters("a % is not followed by two hexadecimal digits")


def _decode(text: str) -> str:
    if "%" not in text:
        return text
    # These three are all that a signature in base64 has.
    text = text.replace("%2B", "+").replace("%2F", "/").replace("%3D", "=")
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise MalformedParameters("an escaped character is not UTF-8") from None


def _claim(pairs: Pairs) -> Claim:
    given = dict(pairs)
    if len(given) < len(pairs):
        _refuse_conflicts(pairs, given)
    if missing := [name for name in REQUIRED if not given.get(name)]:
        raise MissingParameters(missing)
    return Claim(
        consumer_key=_consumer_key(given["oauth_consumer_key"]),
        timestamp=_timestamp(given["oauth_timestamp"]),
        nonce=_nonce(given["oauth_nonce"]),
        method=_signature_method(given["oauth_signature_method"]),
        signature=_signature(given["oauth_signature"]),
        parameters=tuple([pair for pair in pairs if pair[0] != "oauth_signature"]),
        has_token=bool(given.get("oauth_token")),
    )


def _refuse_conflicts(pairs: Pairs, given: Mapping[str, str]) -> None:
    # The same copy in header and query is signed once, which the last-wins rung accepts. Different copies would let
    # somebody on the path choose which nonce is remembered.
    for name, value in pairs:
        if name in SAME_WHEN_REPEATED and given[name] != value:
            raise MalformedParameters(f"{name} is given twice, with different values")


def _consumer_key(text: str) -> str:
    if not text.isprintable():  # nor is a lone surrogate, which no store can look up
        raise MalformedParameters("oauth_consumer_key has unprintable characters")
    return text


def _timestamp(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= TIMESTAMP_LENGTH_MAX):
        raise InvalidTimestamp
    return int(text)


def _nonce(text: str) -> str:
    if len(text) > NONCE_LENGTH_MAX or not text.isprintable():
        raise InvalidNonce
    return text


def _signature_method(text: str) -> SignatureMethod:
    try:
        return SignatureMethod(text)
    except ValueError:
        raise InvalidSignatureMethod from None


def _signature(text: str) -> str:
    # ZeroSix's PHP client signs "…/products?", takes PECL's getRequestHeader apart and appends name=value&… to it, the
    # values still percent-encoded: an ordinary signed query. A variant that builds the query with http_build_query
    # encodes them once more (%252F). Base64 has no %, and the signature itself is not signed, so decoding it again is
    # safe, as it would not be for any other parameter. Source: zerosix-json.md, Authentication.
    return unquote(text).replace(" ", "+")


# --- what is signed (RFC 5849, 3.4)


def encode(text: str) -> str:
    """Percent-encode everything but letters, digits and `-._~`."""
    return quote(text, safe="") if RESERVED.search(text) else text


@lru_cache(maxsize=1024)  # the URLs of a busy client are few
def _encode_uri(uri: str) -> str:
    return encode(uri)


def sign(method: SignatureMethod, key: str, base_string: str) -> str:
    """Compute the signature; the key is the encoded consumer secret, `&` and the encoded token secret."""
    return b2a_base64(keyed(key.encode(), HASHES[method])(base_string.encode()), newline=False).decode()


def join_base_string(method: str, uri: str, parameters: str) -> str:
    """Join the method, the base string URI and the normalized parameters into the text that is signed."""
    # Nothing else can be in it that needs encoding, but the slashes that one client leaves: _slash_unescaped.
    encoded = parameters.replace("%", "%25").replace("&", "%26").replace("=", "%3D")
    return f"{encode(method.upper())}&{_encode_uri(uri)}&{encoded}"


def base_string_uri(scheme: str, host: str, raw_path: str) -> str:
    """Rebuild the URL without its query, as it is signed: lower-case host, no default port, the path as sent."""
    return f"{scheme.lower()}://{_authority(scheme, host)}{raw_path or '/'}"


def normalize(pairs: Iterable[tuple[str, str]]) -> str:
    """Encode the pairs, sort them by encoded name, then value, and join them."""
    pairs = list(pairs)
    # One look at all of it: mostly there is nothing to encode.
    if RESERVED.search("".join([text for pair in pairs for text in pair])):
        pairs = [(encode(name), encode(value)) for name, value in pairs]
    return _join(sorted(pairs))


def _join(encoded: Iterable[tuple[str, str]]) -> str:
    return "&".join([f"{name}={value}" for name, value in encoded])


def _authority(scheme: str, host: str) -> str:
    return host.lower().removesuffix(DEFAULT_PORTS.get(scheme.lower(), "")).removesuffix(":")


# --- the ladder of tolerances: what a client may have signed. Source: zerosix-clients.md, Acceptance ladder
#
# Every base string below spells out one set of pairs, and every rung but the first demands that the handler's map is
# that set. So whichever rung accepts, nobody on the path can make the request mean something else; of a name that the
# client itself signed twice, which only the first rung takes, they can choose the copy that comes last.


def _strict(request: SignedRequest, pairs: Pairs) -> Signed:
    return _uri(request), normalize(pairs)


def _last_wins(request: SignedRequest, pairs: Pairs) -> Signed:
    # The official Python and npm clients send every parameter twice over http, and sign it once.
    return _uri(request), normalize(dict(pairs).items())


def _php_order(request: SignedRequest, pairs: Pairs) -> Signed:
    # PHP and the Python client keep include[2], include[10], include[0] in wire order.
    return _uri(request), _join((encode(name), encode(value)) for name, value in _in_php_order(pairs))


def _slash_unescaped(request: SignedRequest, pairs: Pairs) -> Signed:
    # The Python client encodes with `quote`, which leaves slashes; its order is PHP's. WooCommerce itself refuses it.
    return _uri(request), _join((quote(name), quote(value)) for name, value in _in_php_order(pairs))


def _path_decoded(request: SignedRequest, pairs: Pairs) -> Signed | None:
    # The Python and npm clients sign the path as typed and send it encoded: a space. WooCommerce itself refuses it.
    path = unquote(request.raw_path, errors="strict")
    if "%" in path or path.count("/") != request.raw_path.count("/"):
        return None  # another path, with another meaning, could decode to the same
    return base_string_uri(request.scheme, request.host, path), normalize(dict(pairs).items())


def _explicit_port(request: SignedRequest, pairs: Pairs) -> Signed:
    # The Python and npm clients sign http://host:80/ as typed, while their Host header has no port. (If it has another
    # port, this is a URL that nobody signs.)
    scheme, authority = request.scheme.lower(), _authority(request.scheme, request.host)
    return f"{scheme}://{authority}{DEFAULT_PORTS.get(scheme, '')}{request.raw_path}", normalize(dict(pairs).items())


def _uri(request: SignedRequest) -> str:
    return base_string_uri(request.scheme, request.host, request.raw_path)


def _in_php_order(pairs: Pairs) -> list[tuple[str, str]]:
    return sorted(dict(pairs).items(), key=lambda pair: pair[0].partition("[")[0])


_EVERY_COPY_SIGNED = "strict"

# First match wins. A rung that does not apply to a request gives None.
RUNGS: Mapping[str, Callable[[SignedRequest, Pairs], Signed | None]] = {
    "strict": _strict,
    "last-wins": _last_wins,
    "php-order": _php_order,
    "slash-unescaped": _slash_unescaped,
    "path-decoded": _path_decoded,
    "explicit-port": _explicit_port,
}
