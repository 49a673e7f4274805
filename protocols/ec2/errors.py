"""EC2's and STS's codes for everything that can be refused. Sources: ec2-wire-rules.md, gigenet-ec2.md."""

from core import errors as core
from core.tags import ResourceKind
from protocols.boundary import BodyBroken, BodyTooLarge, BodyTooSlow
from protocols.ec2 import ids, parameters, signatures
from protocols.faults import Fault, FaultTable

_NOT_ACCEPTED = "AWS was not able to validate the provided access credentials"
_BAD_TOKEN = "The security token included in the request is invalid."  # noqa: S105  AWS's words


class Ec2Refusal(Exception):
    """A refusal in EC2's own words, for what only this protocol knows."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.status = code, status


def invalid_action(action: str) -> Ec2Refusal:
    """Refuse an action that AWS does not have, in the exact words that Terraform looks for."""
    return Ec2Refusal("InvalidAction", f"The action {action} is not valid for this web service.")


def unsupported_action(action: str) -> Ec2Refusal:
    """Refuse an action that AWS has and we do not."""
    return Ec2Refusal("UnsupportedOperation", f"The action {action} is not supported here.")


def unsupported_parameter(action: str, name: str, hint: str = "") -> Ec2Refusal:
    """Refuse a parameter that AWS has and we do not."""
    return Ec2Refusal("UnsupportedOperation", f"The parameter {name} of {action} is not supported here.{hint}")


def invalid_value(name: str, value: object, expected: str) -> Ec2Refusal:
    """Refuse a value."""
    return Ec2Refusal("InvalidParameterValue", f"Value ({value}) for parameter {name} is invalid. {expected}")


def invalid_combination(one: str, other: str) -> Ec2Refusal:
    """Refuse two parameters that exclude each other."""
    text = f"The parameter {one} cannot be used with the parameter {other}"
    return Ec2Refusal("InvalidParameterCombination", text)


def _missing_instances(error: core.UnknownInstances) -> str:
    names = ", ".join(map(ids.instance_id, error.ids))
    return (
        f"The instance ID{'s' if len(error.ids) > 1 else ''} '{names}' do{'' if len(error.ids) > 1 else 'es'} not exist"
    )


def _wrong_state(error: core.IncorrectState) -> str:
    done = {"start": "started", "stop": "stopped", "reboot": "rebooted"}.get(error.verb, error.verb)
    name = ids.instance_id(error.instance_id)
    return f"The instance '{name}' is not in a state from which it can be {done}. It is {error.state}."


def _no_room(error: core.InsufficientCapacity) -> str:
    return f"We currently do not have sufficient {error.product} capacity: {error}"


def _not_in_zone(error: core.NotOfferedInZone) -> str:
    return (
        f"Your requested instance type ({error.product}) is not supported in your requested Availability Zone "
        f"({error.zone}). Please retry your request by choosing {', '.join(error.offered) or 'another instance type'}."
    )


_MALFORMED = {
    ResourceKind.INSTANCE: "InvalidInstanceID.Malformed",
    ResourceKind.IMAGE: "InvalidAMIID.Malformed",
    ResourceKind.KEY_PAIR: "InvalidKeyPair.Malformed",
    ResourceKind.ORDER: "InvalidReservationID.Malformed",
}


EC2_FAULTS = FaultTable(
    {
        # the caller
        signatures.MissingSignature: Fault(403, "MissingAuthenticationToken"),
        signatures.IncompleteSignature: Fault(400, "IncompleteSignature"),
        signatures.UnsupportedAlgorithm: Fault(400, "IncompleteSignature"),
        signatures.RequestExpired: Fault(400, "RequestExpired"),
        signatures.SignatureMismatch: Fault(401, "AuthFailure", lambda error: f"{_NOT_ACCEPTED}. {error}"),
        core.UnknownKey: Fault(401, "AuthFailure", lambda _: _NOT_ACCEPTED),
        core.InvalidSession: Fault(401, "AuthFailure", lambda error: f"{_NOT_ACCEPTED}. {error}"),
        core.SessionExpired: Fault(400, "RequestExpired"),
        core.AddressNotAllowed: Fault(403, "UnauthorizedOperation"),
        # the request
        parameters.BadEncoding: Fault(404, "MalformedQueryString"),
        parameters.UnknownParameter: Fault(400, "UnknownParameter"),
        parameters.MissingParameter: Fault(400, "MissingParameter"),
        parameters.DuplicateParameter: Fault(400, "InvalidParameterCombination"),
        parameters.InvalidValue: Fault(400, "InvalidParameterValue"),
        ids.UnknownIdKind: Fault(400, "InvalidID"),
        BodyBroken: Fault(400, "InvalidHttpRequest"),
        BodyTooLarge: Fault(413, "RequestEntityTooLarge"),
        BodyTooSlow: Fault(408, "RequestTimeout"),
        core.InvalidRequest: Fault(400, "InvalidParameterValue"),
        # the domain
        core.DryRunPassed: Fault(412, "DryRunOperation"),
        core.UnknownProduct: Fault(
            400, "InvalidParameterValue", lambda error: f"Invalid value '{error.name}' for InstanceType."
        ),
        core.UnknownImage: Fault(400, "InvalidAMIID.NotFound"),
        core.UnknownZone: Fault(
            400, "InvalidParameterValue", lambda error: f"Invalid availability zone: [{error.name}]"
        ),
        core.NotOfferedInZone: Fault(400, "Unsupported", _not_in_zone),
        # AWS counts it as its own fault, and SDKs try again. Source: EC2 API reference, server error codes.
        core.InsufficientCapacity: Fault(500, "InsufficientInstanceCapacity", _no_room),
        core.TokenReused: Fault(400, "IdempotentParameterMismatch"),
        core.UnknownInstances: Fault(400, "InvalidInstanceID.NotFound", _missing_instances),
        core.IncorrectState: Fault(400, "IncorrectInstanceState", _wrong_state),
        core.UnknownKeyPairs: Fault(400, "InvalidKeyPair.NotFound"),
        core.KeyPairExists: Fault(400, "InvalidKeyPair.Duplicate"),
        core.InvalidKeyMaterial: Fault(400, "InvalidKey.Format"),
        core.TooManyTags: Fault(400, "TagLimitExceeded"),
        core.InvalidTag: Fault(400, "InvalidParameterValue"),
        core.StoreUnavailable: Fault(503, "Unavailable"),
    }
)

# Where STS has words of its own: for the caller, always with 403, and for values. The rest is EC2's table.
STS_FAULTS = FaultTable(
    {
        signatures.RequestExpired: Fault(403, "SignatureDoesNotMatch", lambda error: f"Signature expired: {error}"),
        signatures.SignatureMismatch: Fault(403, "SignatureDoesNotMatch"),
        core.UnknownKey: Fault(403, "InvalidClientTokenId", lambda _: _BAD_TOKEN),
        core.InvalidSession: Fault(403, "InvalidClientTokenId", lambda _: _BAD_TOKEN),
        core.SessionExpired: Fault(403, "ExpiredToken"),
        core.AddressNotAllowed: Fault(403, "AccessDenied"),
        parameters.InvalidValue: Fault(400, "ValidationError"),
        core.InvalidRequest: Fault(400, "ValidationError"),
    }
)

_INTERNAL = Fault(500, "InternalError", lambda _: "An internal error has occurred")


def fault_of(error: Exception, *, is_sts: bool) -> Fault:
    """Return what to tell a client of EC2 or of STS about any exception."""
    if isinstance(error, Ec2Refusal):
        return Fault(error.status, error.code)
    if isinstance(error, ids.MalformedId):
        return Fault(400, _MALFORMED[error.kind])
    return (STS_FAULTS.find(error) if is_sts else None) or EC2_FAULTS.find(error) or _INTERNAL
