"""The front-end: one endpoint that answers every action of EC2 and of STS."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from aiohttp import web

from core.accounts import Caller, Protocol
from core.catalogue import Region
from core.errors import DryRunPassed, UnknownRegion
from core.service import Core
from protocols.boundary import Boundary, Exchange
from protocols.ec2 import model, signatures
from protocols.ec2.actions import (
    account,
    addresses,
    attributes,
    gigenet,
    images,
    instances,
    instancetypes,
    interfaces,
    keypairs,
    networks,
    routing,
    securitygroups,
    sessions,
    tags,
    volumes,
    zones,
)
from protocols.ec2.decode import Decoder, parse_form
from protocols.ec2.dialects import DIALECTS, Dialect
from protocols.ec2.encode import Encoder, encode_error, encode_sts_error
from protocols.ec2.errors import Ec2Refusal, fault_of, invalid_action, unsupported_action
from protocols.ec2.extensions import EXTENSIONS
from protocols.ec2.registry import Action, Call, Family, registry
from protocols.ec2.render import Renderer
from protocols.ec2.settings import Ec2Settings
from protocols.reply import Reply

FAMILIES: Mapping[str, Family] = {
    "Machines": instances.family,
    "Attributes of machines": attributes.family,
    "Instance types": instancetypes.family,
    "Images": images.family,
    "Regions and zones": zones.family,
    "Key pairs": keypairs.family,
    "Tags": tags.family,
    "Public addresses": addresses.family,
    "Security groups": securitygroups.family,
    "The default network": networks.family,
    "Routing": routing.family,
    "Network interfaces": interfaces.family,
    "Volumes": volumes.family,
    "What GigeNET adds": gigenet.family,
    "The account": account.family,
    "Sessions": sessions.family,
}
"""All that is served, as the reference has it (docs/ec2.md)."""

ACTIONS = registry(*FAMILIES.values())

_METHODS = ("GET", "POST")
_PORT = re.compile(r":\d*$", re.ASCII)
_FORM = "application/x-www-form-urlencoded"
_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_SERVER_FAULTS = 500
_NO_METHOD = 405
_MOST_PARAMETERS = 5000
"""Room for a thousand ids with fifty tags, and little enough to be read in the blink of an eye."""
_LONGEST_TEXT = 4000
"""Texts repeat what was sent; this much of one is enough to see what is wrong."""

Pairs = Sequence[tuple[str, str]]


class Service:
    """EC2 or STS: its model, its codec, and the actions of it that we serve."""

    def __init__(self, shapes: model.Model, dialect: Dialect) -> None:
        self.version, self.known = shapes.version, shapes.known
        self.decoder = Decoder(shapes, underscores=True)
        self.encoder = Encoder(shapes, dialect.envelope(shapes), dialect.rewrites, dialect.spellings)
        self.actions: Mapping[str, Action] = {name: ACTIONS[name] for name in ACTIONS if name in shapes.actions}


def by_host(
    front_ends: Sequence["Ec2FrontEnd"], boundary: Boundary
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Return the handler of a path that these share: each answers under its own host's name, and one under all others.

    Of names that end alike the longest is called. Where none answers under a name, the first one does, so that a client
    that calls by address is told in EC2's words what it lacks.
    """
    handlers = [(front_end.settings.host, boundary.handler(front_end)) for front_end in front_ends]
    if len(handlers) == 1:
        return handlers[0][1]
    named = sorted(((host, handler) for host, handler in handlers if host), key=lambda each: -len(each[0]))
    otherwise = next((handler for host, handler in handlers if not host), handlers[0][1])

    async def handle(request: web.Request) -> web.StreamResponse:
        called = _PORT.sub("", boundary.called_host(request).lower())
        chosen = (handler for host, handler in named if called == host or called.endswith(f".{host}"))
        return await next(chosen, otherwise)(request)

    return handle


class Ec2FrontEnd:
    """See `protocols.boundary.FrontEnd`. Of its settings, the region and how strict it is may be changed."""

    name = Protocol.EC2.value

    def __init__(self, core: Core, boundary: Boundary, settings: Ec2Settings) -> None:
        self._core, self._boundary, self.settings = core, boundary, settings
        self._dialect = DIALECTS[settings.dialect]
        models = model.load(EXTENSIONS, self._dialect.overlay)
        self._ec2, self._sts = Service(models["ec2"], self._dialect), Service(models["sts"], self._dialect)
        self._renderer = Renderer(self._ec2.encoder, self._dialect.image_id, settings.ssh_host)

    async def answer(self, request: web.Request, exchange: Exchange) -> web.Response:
        """Return the action's result. What is asked for is found before who asks, as AWS does."""
        signed = await self._read(request)
        pairs: Pairs = (*signed.query, *signed.form) if signed.query else signed.form
        named = dict(pairs)
        if self.settings.home and "Action" not in named and _is_browser(request):
            return web.Response(status=302, headers={"Location": self.settings.home})
        service, action = self._find(named.get("Action", ""), exchange)
        version = _version(named.get("Version") or service.version)
        caller, region_host = await self._authenticate(signed, exchange)
        call = Call(
            self._core,
            caller,
            await self._core.fleet(caller),
            self._renderer,
            self._dialect,
            exchange,
            region_host,
        )
        return _response(await self._carry_out(service, action, pairs, call, version), 200, exchange)

    def refuse(self, error: Exception, exchange: Exchange) -> web.Response:
        """Return the refusal in the form of the service that was called."""
        is_sts = self._dialect.knows_sts and exchange.action in self._sts.known
        fault = fault_of(error, is_sts=is_sts)
        exchange.code = fault.code
        text = self._dialect.reword(fault.text(error))[:_LONGEST_TEXT]
        status = self._dialect.statuses.get(fault.status, fault.status)
        if is_sts:
            kind = "Receiver" if fault.status >= _SERVER_FAULTS else "Sender"
            return _response(encode_sts_error(kind, fault.code, text, exchange.request_id), status, exchange)
        return _response(encode_error(fault.code, text, exchange.request_id), status, exchange)

    async def _read(self, request: web.Request) -> signatures.SignedRequest:
        if request.method not in _METHODS:
            raise Ec2Refusal("InvalidHttpRequest", f"{request.method} is not used here; send GET or POST.", _NO_METHOD)
        body = await self._boundary.read_body(request)
        path, _, query = _target(request).partition("?")
        return signatures.SignedRequest(
            method=request.method,
            raw_path=path,
            raw_query=query,
            headers=tuple(request.headers.items()),
            body=body,
            query=_pairs(query.encode("utf-8", "surrogateescape")) if query else (),
            form=_form(request, body) if body else (),
        )

    def _find(self, name: str, exchange: Exchange) -> tuple[Service, Action]:
        """Return the action and whose it is. What AWS knows is told to the log by name, whether we serve it or not."""
        if not name:
            raise Ec2Refusal("MissingAction", "The request must contain the parameter Action")
        for service in (self._ec2, self._sts):
            if name in service.known:
                exchange.action = name
                if (action := service.actions.get(name)) is None:
                    raise unsupported_action(name)
                return service, action
        raise invalid_action(name)

    async def _authenticate(self, signed: signatures.SignedRequest, exchange: Exchange) -> tuple[Caller, str]:
        """Return the caller, and the pattern of hosts by which regions are called if the request came by one."""
        claim = signatures.read_claim(signed)
        if claim.session_token is None:
            credential = await self._core.credential(claim.access_key)
        else:
            credential = await self._core.session_credential(claim.access_key, claim.session_token)
        self._verify(claim, signed, credential.secret_key, exchange)
        exchange.account_id = credential.application.account_id
        region, region_host = await self._region(claim.region, exchange)
        caller = self._core.admit(
            credential,
            exchange.address,
            Protocol.EC2,
            exchange.request_id,
            region_id=region.id,
            sees_all_regions=self._dialect.is_regionless,
        )
        return caller, region_host

    async def _region(self, signed_for: str | None, exchange: Exchange) -> tuple[Region, str]:
        """Return the region that is called: by the host's name, by the signature's scope, or the endpoint's own.

        Raises:
            UnknownRegion: the signature is for another, and the endpoint is strict.
        """
        first, dot, rest = exchange.called_host.partition(".")
        if dot and (region := await self._core.find_region(first.lower())) is not None:
            return region, f"{{}}.{rest}"
        if signed_for and (region := await self._core.find_region(signed_for)) is not None:
            return region, ""
        if signed_for and self.settings.is_strict:
            raise UnknownRegion(signed_for, await self._core.region_names())
        own = await self._core.find_region(self.settings.region)  # none while it is being replaced by another
        return own or await self._core.region(""), ""

    def _verify(
        self, claim: signatures.Claim, signed: signatures.SignedRequest, secret_key: str, exchange: Exchange
    ) -> None:
        """Check the signature over the request as it came, or else with the host that the client typed."""
        now = self._core.now()
        try:
            signatures.verify(claim, signed, secret_key, now)
        except signatures.SignatureMismatch:
            typed = [host for host in (exchange.called_host, exchange.host) if host != _host_in(signed.headers)]
            if not typed:
                raise
            public = replace(signed, headers=_with_host(signed.headers, typed[-1]))
            signatures.verify(signatures.read_claim(public), public, secret_key, now)

    async def _carry_out(self, service: Service, action: Action, pairs: Pairs, call: Call, version: str) -> bytes:
        request = service.decoder.decode(action.name, pairs)
        action.check(request)
        request = self._dialect.understood(action.name, request)
        is_dry_run: Any = request.get("DryRun", False)
        if is_dry_run:
            call.caller = replace(call.caller, is_dry_run=True)
        result = await action.handler(call, request)
        if is_dry_run:
            raise DryRunPassed
        request_id = call.exchange.request_id
        return service.encoder.encode_response(action.name, result, version=version, request_id=request_id)


def _is_browser(request: web.Request) -> bool:
    """Whether somebody has typed the address into a browser, to see what is there."""
    return request.method == "GET" and "text/html" in request.headers.get("Accept", "")


def _version(text: str) -> str:
    if not _VERSION.fullmatch(text):
        raise Ec2Refusal("InvalidParameterValue", f"Value ({text}) for parameter Version is invalid. Expected a date.")
    return text


def _target(request: web.Request) -> str:
    """Return the request's path and query as sent, also where a proxy was sent the whole URL."""
    target = request.raw_path
    if target.startswith("/"):
        return target
    _, _, rest = target.partition("://")
    return rest[rest.index("/") :] if "/" in rest else "/"


def _host_in(headers: Pairs) -> str:
    return next((value for name, value in headers if name.lower() == "host"), "")


def _with_host(headers: Pairs, host: str) -> Pairs:
    """Return the headers with another host: a proxy of ours may have replaced the one that was signed."""
    return [(name, host if name.lower() == "host" else value) for name, value in headers]


def _form(request: web.Request, body: bytes) -> Pairs:
    kind = request.headers.get("Content-Type", _FORM).partition(";")[0].strip().lower()
    if kind != _FORM:
        raise Ec2Refusal("InvalidHttpRequest", f"The body is {kind!r}; send it as {_FORM}.", 415)
    return _pairs(body)


def _pairs(raw: bytes) -> Pairs:
    if raw.count(b"&") >= _MOST_PARAMETERS:
        raise Ec2Refusal("InvalidParameterCombination", f"A request can have at most {_MOST_PARAMETERS} parameters.")
    return parse_form(raw)


def _response(body: bytes, status: int, exchange: Exchange) -> web.Response:
    headers = {
        "Content-Type": "text/xml;charset=UTF-8",
        "Cache-Control": "no-cache, no-store",
        "x-amzn-RequestId": exchange.request_id,
    }
    if status == _NO_METHOD:
        headers["Allow"] = ", ".join(_METHODS)
    return Reply(body=body, status=status, headers=headers)
