"""Who sent this request, and which of its parameters may be believed."""

import binascii
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import wraps
from hmac import compare_digest
from typing import Any

from aiohttp import web

from core.accounts import Protocol
from core.service import Credential
from protocols.faults import Fault
from protocols.zerosix import oauth1
from protocols.zerosix.conventions import FIELDS, narrowed
from protocols.zerosix.decode import Arguments, nested, read_document, read_parameters
from protocols.zerosix.errors import (
    ANONYMOUS,
    CALLER_FAULTS,
    INVALID_PARAMETERS,
    NOT_PRIVATE,
    REQUEST_FAULTS,
    UNREADABLE_BASIC,
    WRONG_SECRET,
    Refusal,
)
from protocols.zerosix.oauth1 import Pairs
from protocols.zerosix.parameters import Parameter, Parameters
from protocols.zerosix.routes import Answer, Call, Endpoint, Handler, Result, Visit

_KEY, _SECRET = "consumer_key", "consumer_secret"


def authenticated(
    answer: Callable[[Call], Awaitable[Answer | web.Response]],
    operation: str,
    summary: str,
    *,
    gives: Result,
    takes: Sequence[Parameter[Any]] = (),
    faults: Sequence[Fault] = (),
) -> Endpoint:
    """Return an endpoint that finds out who is calling before it asks `answer`."""
    parameters = Parameters(*takes, FIELDS)
    all_faults = (*faults, *REQUEST_FAULTS, *CALLER_FAULTS)
    return Endpoint(identified(answer, parameters), operation, summary, parameters, gives, all_faults)


def public(answer: Handler, operation: str, summary: str, *, gives: Result) -> Endpoint:
    """Return an endpoint that lets `answer` answer anybody."""
    parameters = Parameters(FIELDS)

    @wraps(answer)
    async def handler(visit: Visit) -> Answer | web.Response:
        values = parameters.read(nested(read_parameters(visit.sent.raw_query)), visit.settings)
        return await narrowed(await answer(visit), values)

    return Endpoint(handler, operation, summary, parameters, gives, (INVALID_PARAMETERS,), is_public=True)


def identified(answer: Callable[[Call], Awaitable[Answer | web.Response]], parameters: Parameters) -> Handler:
    """Return a handler that finds out who is calling before it asks `answer`.

    Raises, besides what `answer` raises:
        Refusal, OAuthError, UnknownKey, NonceUsed, AddressNotAllowed: the caller is not to be believed.
        Refusal: what is asked cannot be read.
    """

    @wraps(answer)
    async def handler(visit: Visit) -> Answer | web.Response:
        exchange, settings = visit.exchange, visit.settings
        credential, asked, arguments = await _identify(visit)
        caller = visit.core.admit(credential, exchange.address, Protocol.ZEROSIX, exchange.request_id)
        exchange.account_id = caller.account_id
        values = parameters.read(arguments, settings)
        told = await answer(Call(visit.core, settings, exchange, visit.name, caller, values, asked))
        return await narrowed(told, values) if FIELDS in values else told

    return handler


async def _identify(visit: Visit) -> tuple[Credential, Pairs, Arguments]:
    """Return whose request it is, the parameters that are believed of its query and form, and all its arguments."""
    core, sent = visit.core, visit.sent
    claim = oauth1.read_claim(sent)
    if claim is not None:
        credential = await core.credential(claim.consumer_key)
        signed = _verify(visit, claim, credential.secret_key)
        await core.claim_nonce(claim.consumer_key, claim.timestamp, claim.nonce)
        # OAuth does not sign a JSON body: whoever is on the path may have put one there, so it overrides nothing.
        return credential, signed, {**_body(visit), **nested(signed)}
    shown = [*read_parameters(sent.raw_query), *sent.form]
    credential = await _by_secret(visit, *_shown(visit, dict(shown)))
    return credential, shown, {**nested(shown), **_body(visit)}


def _verify(visit: Visit, claim: oauth1.Claim, secret: str) -> Pairs:
    """Return the signed parameters. The URL that was signed is the public one, or else the one that was called."""
    exchange, sent, now = visit.exchange, visit.sent, visit.core.now()
    try:
        return oauth1.verify(claim, sent, secret, now)
    except oauth1.InvalidSignature:
        if (exchange.called_scheme, exchange.called_host) == (sent.scheme, sent.host):
            raise
    called = replace(sent, scheme=exchange.called_scheme, host=exchange.called_host)
    return oauth1.verify(claim, called, secret, now)


def _body(visit: Visit) -> Arguments:
    return read_document(visit.document) if visit.document else {}


async def _by_secret(visit: Visit, key: str, secret: str) -> Credential:
    if not visit.exchange.is_private:
        raise Refusal(NOT_PRIVATE)
    credential = await visit.core.credential(key)
    if not compare_digest(credential.secret_key.encode(), secret.encode()):
        raise Refusal(WRONG_SECRET)
    return credential


def _shown(visit: Visit, parameters: Mapping[str, str]) -> tuple[str, str]:
    """Return the key and the secret that the request shows openly.

    Raises:
        Refusal: it shows none, or its Basic header cannot be read.
    """
    scheme, _, encoded = (visit.sent.authorization or "").partition(" ")
    if scheme.lower() == "basic":
        return _read_basic(encoded)
    if _KEY in parameters or _SECRET in parameters:
        return parameters.get(_KEY, ""), parameters.get(_SECRET, "")
    raise Refusal(ANONYMOUS[visit.sent.method])


def _read_basic(encoded: str) -> tuple[str, str]:
    try:
        key, colon, secret = binascii.a2b_base64(encoded).decode().partition(":")
    except ValueError:
        raise Refusal(UNREADABLE_BASIC) from None
    if not colon:
        raise Refusal(UNREADABLE_BASIC)
    return key, secret
