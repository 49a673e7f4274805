"""The table of refusals, and the answers that are made of it."""

import json
import re
from collections.abc import Iterator

import pytest

import core.ports
from core import errors
from core.errors import CoreError
from protocols.boundary import Exchange
from protocols.faults import Fault
from protocols.zerosix import oauth1
from protocols.zerosix.errors import SERVER_FAULT, ZEROSIX_FAULTS, Refusal, fault_of


def below(kind: type) -> Iterator[type]:
    for child in kind.__subclasses__():
        yield child
        yield from below(child)


NO_VERB = "no verb that this front-end calls raises it"
IMPOSSIBLE = {
    errors.DryRunPassed: "nothing here asks for a trial",
    errors.SessionExpired: "sessions are EC2's; a session's key is an unknown key here",
    errors.InvalidSession: "the same",
    errors.PersonError: "only people sign in, and no verb that is called here has to do with them",
    **dict.fromkeys(below(errors.PersonError), "the same"),
    errors.UnknownApplication: "only the console and the operator name applications",
    errors.ApplicationExists: "the same",
    errors.ApiAccessOff: "only the console asks for what it says; a key of such an account is an unknown key",
    errors.UnknownAccount: "only the operator names accounts",
    errors.UnknownImage: "orders have the product's own image, which the catalogue cannot be without",
    errors.UnknownZone: "a booking here names no zone",
    errors.NotOfferedInZone: "the same",
    errors.NotOfferedInRegion: "the same",
    errors.UnknownRegion: "a request here is of no region",
    errors.DoesNotFit: "the configuration cannot sell a product that is too small for its image",
    errors.UnfitImage: "nor one with an image for other processors",
    errors.NoMetadataService: NO_VERB,
    errors.TokenReused: "a booking here has no client token",
    errors.UnknownInstances: NO_VERB,
    errors.IncorrectState: NO_VERB,
    errors.UnknownKeyPairs: "a booking here names no key pair",
    errors.KeyPairExists: NO_VERB,
    errors.UnknownResource: "a booking here names no network, subnet, group or address",
    errors.TooManyGroups: "the same",
    errors.NoAddressLeft: "the same",
    errors.AddressBound: NO_VERB,
    errors.AddressInUse: NO_VERB,
    errors.PrivateAddressTaken: "a booking here names no address",
    errors.DiskInUse: NO_VERB,
    errors.GroupExists: NO_VERB,
    errors.GroupInUse: NO_VERB,
    errors.DefaultGroup: NO_VERB,
    errors.InvalidRule: NO_VERB,
    errors.RuleExists: NO_VERB,
    errors.UnknownRule: NO_VERB,
    errors.TooManyRules: NO_VERB,
    errors.InvalidKeyMaterial: NO_VERB,
    errors.TooManyTags: "a booking here has no tags",
    errors.InvalidTag: "the same",
    core.ports.DriverError: "drivers are called by the reconciler alone, never while a request waits",
}


def test_every_refusal_of_core_has_a_row_or_a_reason_for_having_none():
    # Those of drivers are DriverErrors, which cannot come, or are told to the operator's commands only.
    modules = {kind: kind.__module__ for kind in below(CoreError)}
    refusals = {kind for kind, module in modules.items() if re.match(r"core\.(?!compute\.)", module)}
    assert {kind for kind in refusals if kind not in ZEROSIX_FAULTS} == set(IMPOSSIBLE)


def test_every_refusal_of_the_verifier_is_a_401_in_its_own_words():
    for kind in (oauth1.OAuthError, *below(oauth1.OAuthError)):
        error = kind(["oauth_nonce"]) if kind is oauth1.MissingParameters else kind.__new__(kind)
        fault = fault_of(error)
        assert (fault.status, fault.code, fault.text(error)) == (401, kind.code, str(error))


def an_exchange() -> Exchange:
    return Exchange("the-request-id", "127.0.0.1", "http", "127.0.0.1", is_private=True)


async def test_a_fault_of_ours_tells_nothing_but_the_request_id(site):
    exchange = an_exchange()
    answer = site.front_end.refuse(KeyError("a secret"), exchange)
    assert (answer.status, exchange.code) == (500, "internal_server_error")
    assert json.loads(answer.body) == {
        "code": "internal_server_error",
        "message": SERVER_FAULT.text(None),
        "data": {"status": 500, "request_id": "the-request-id"},
    }


async def test_a_row_that_cannot_come_is_a_fault_of_ours(site):
    error = core.ports.DriverError(core.ports.DriverCode.INTERNAL, "10.0.0.3 is down")
    assert site.front_end.refuse(error, an_exchange()).status == 500


async def test_a_database_that_cannot_be_written_is_told_as_such(site, house):
    await house.store.close()
    answer = await site.ask("PUT", "orders", {"product_id": 5, "instances": 1})
    assert answer.refusal == (503, "onefleet_unavailable")
    assert answer.json()["data"]["request_id"] == site.records[-1][0].request_id


@pytest.mark.parametrize("status", [200, 404])
async def test_details_and_headers_of_a_refusal_are_passed_on(site, status):
    error = Refusal(Fault(status, "x", lambda _: "words"), details={"params": {"a": "b"}}, headers={"Allow": "GET"})
    answer = site.front_end.refuse(error, an_exchange())
    assert answer.headers["Allow"] == "GET"
    assert json.loads(answer.body)["data"] == {"status": status, "params": {"a": "b"}}
