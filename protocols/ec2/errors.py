"""EC2's and STS's codes for everything that can be refused. Sources: ec2-wire-rules.md, gigenet-ec2.md."""

from core import errors as core
from core import ports
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


def missing_either(one: str, other: str) -> Ec2Refusal:
    """Refuse a request that names a thing in neither of the two ways."""
    return Ec2Refusal("MissingParameter", f"The request must contain the parameter {one} or {other}")


def _missing_instances(error: core.UnknownInstances) -> str:
    names = ", ".join(map(ids.instance_id, error.ids))
    return (
        f"The instance ID{'s' if len(error.ids) > 1 else ''} '{names}' do{'' if len(error.ids) > 1 else 'es'} not exist"
    )


def _wrong_state(error: core.IncorrectState) -> str:
    name = ids.instance_id(error.instance_id)
    if error.verb not in _DONE:
        return f"The instance '{name}' is not in the 'stopped' state. It is {error.state}."
    return f"The instance '{name}' is not in a state from which it can be {_DONE[error.verb]}. It is {error.state}."


_DONE = {
    "start": "started",
    "stop": "stopped",
    "reboot": "rebooted",
    "terminate": "terminated",
    "reinstall": "reinstalled",
    "change": "changed",
    "take a screenshot of": "shown",
}


def _no_room(error: core.InsufficientCapacity) -> str:
    return f"We currently do not have sufficient {error.product} capacity: {error}"


def _not_in_zone(error: core.NotOfferedInZone) -> str:
    return (
        f"Your requested instance type ({error.product}) is not supported in your requested Availability Zone "
        f"({error.zone}). Please retry your request by choosing {', '.join(error.offered) or 'another instance type'}."
    )


def _wrong_region(error: core.UnknownRegion) -> str:
    regions = ", ".join(error.known)
    return f"Credential should be scoped to a valid region, not '{error.name}'; sign for one of {regions}."


def _protected(error: core.Protected) -> str:
    attribute = {"stop": "disableApiStop", "terminate": "disableApiTermination"}[error.verb]
    return (
        f"The instance '{ids.instance_id(error.instance_id)}' may not be {_DONE[error.verb]}. "
        f"Modify its '{attribute}' instance attribute and try again."
    )


def _group_in_use(error: core.GroupInUse) -> str:
    return f"resource {ids.spell(ResourceKind.SECURITY_GROUP, error.group_id)} has a dependent object: {error}"


def _disk_in_use(error: core.DiskInUse) -> str:
    return f"Volume {ids.spell(ResourceKind.DISK, error.instance_id)} is currently attached to its instance"


_MALFORMED = {
    ResourceKind.INSTANCE: "InvalidInstanceID.Malformed",
    ResourceKind.IMAGE: "InvalidAMIID.Malformed",
    ResourceKind.KEY_PAIR: "InvalidKeyPair.Malformed",
    ResourceKind.ORDER: "InvalidReservationID.Malformed",
    ResourceKind.NETWORK: "InvalidVpcID.Malformed",
    ResourceKind.SUBNET: "InvalidSubnetID.Malformed",
    ResourceKind.ROUTE_TABLE: "InvalidRouteTableID.Malformed",
    ResourceKind.GATEWAY: "InvalidInternetGatewayID.Malformed",
    ResourceKind.ACL: "InvalidNetworkAclID.Malformed",
    ResourceKind.SECURITY_GROUP: "InvalidGroupId.Malformed",
    ResourceKind.RULE: "InvalidSecurityGroupRuleId.Malformed",
    ResourceKind.INTERFACE: "InvalidNetworkInterfaceId.Malformed",
    ResourceKind.DISK: "InvalidVolumeID.Malformed",
    ResourceKind.ADDRESS: "InvalidAllocationID.Malformed",
}

# AWS words each of these its own way. Source: EC2 API reference, client error codes.
_NOT_FOUND = {
    ResourceKind.NETWORK: ("InvalidVpcID.NotFound", "The vpc ID '{}' does not exist"),
    ResourceKind.SUBNET: ("InvalidSubnetID.NotFound", "The subnet ID '{}' does not exist"),
    ResourceKind.ROUTE_TABLE: ("InvalidRouteTableID.NotFound", "The routeTable ID '{}' does not exist"),
    ResourceKind.GATEWAY: ("InvalidInternetGatewayID.NotFound", "The internetGateway ID '{}' does not exist"),
    ResourceKind.ACL: ("InvalidNetworkAclID.NotFound", "The networkAcl ID '{}' does not exist"),
    ResourceKind.SECURITY_GROUP: ("InvalidGroup.NotFound", "The security group '{}' does not exist"),
    ResourceKind.RULE: ("InvalidSecurityGroupRuleId.NotFound", "The security group rule ID '{}' does not exist"),
    ResourceKind.INTERFACE: ("InvalidNetworkInterfaceID.NotFound", "The networkInterface ID '{}' does not exist"),
    ResourceKind.DISK: ("InvalidVolume.NotFound", "The volume '{}' does not exist."),
    ResourceKind.ADDRESS: ("InvalidAllocationID.NotFound", "The allocation ID '{}' does not exist"),
}

# Which limit of an account has which code. Source: the same.
_LIMITS = {
    "machines": ("InstanceLimitExceeded", "instances"),
    "addresses": ("AddressLimitExceeded", "addresses"),
    "addresses of a machine": ("PrivateIpAddressLimitExceeded", "addresses of one instance"),
    "key_pairs": ("KeyPairLimitExceeded", "key pairs"),
    "security_groups": ("SecurityGroupLimitExceeded", "security groups"),
    "kept_disks": ("VolumeLimitExceeded", "volumes without a machine"),
}


def not_found(kind: ResourceKind, name: int | str) -> Ec2Refusal:
    """Refuse an id of a thing that is not there, in the words that AWS has for its kind; a number is spelled first."""
    code, text = _NOT_FOUND[kind]
    return Ec2Refusal(code, text.format(ids.spell(kind, name) if isinstance(name, int) else name))


def _limit_text(error: core.LimitReached) -> str:
    _, what = _LIMITS[error.kind]
    return f"You have requested more {what} than your current limit of {error.most} allows: you have {error.have}."


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
        core.AccountSuspended: Fault(403, "Blocked"),
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
        core.SpendingLimitReached: Fault(400, "InstanceLimitExceeded"),
        core.TokenReused: Fault(400, "IdempotentParameterMismatch"),
        core.UnknownInstances: Fault(400, "InvalidInstanceID.NotFound", _missing_instances),
        core.IncorrectState: Fault(400, "IncorrectInstanceState", _wrong_state),
        core.UnknownKeyPairs: Fault(400, "InvalidKeyPair.NotFound"),
        core.KeyPairExists: Fault(400, "InvalidKeyPair.Duplicate"),
        core.InvalidKeyMaterial: Fault(400, "InvalidKey.Format"),
        core.TooManyTags: Fault(400, "TagLimitExceeded"),
        core.InvalidTag: Fault(400, "InvalidParameterValue"),
        core.StoreUnavailable: Fault(503, "Unavailable"),
        core.TooManyRequests: Fault(503, "RequestLimitExceeded"),
        core.UnknownRegion: Fault(401, "AuthFailure", _wrong_region),
        core.NotOfferedInRegion: Fault(400, "Unsupported"),
        core.DoesNotFit: Fault(400, "InvalidParameterCombination"),
        core.UnfitImage: Fault(400, "InvalidParameterCombination"),
        core.NoMetadataService: Fault(400, "UnsupportedOperation"),
        core.Protected: Fault(400, "OperationNotPermitted", _protected),
        core.GroupExists: Fault(400, "InvalidGroup.Duplicate"),
        core.GroupInUse: Fault(400, "DependencyViolation", _group_in_use),
        core.DefaultGroup: Fault(400, "CannotDelete", lambda _: "the default security group cannot be deleted"),
        core.TooManyGroups: Fault(400, "SecurityGroupsPerInterfaceLimitExceeded"),
        core.InvalidRule: Fault(400, "InvalidParameterValue"),
        core.RuleExists: Fault(400, "InvalidPermission.Duplicate"),
        core.UnknownRule: Fault(400, "InvalidPermission.NotFound"),
        core.TooManyRules: Fault(400, "RulesPerSecurityGroupLimitExceeded"),
        # A server's fault to AWS, as the capacity of machines is.
        core.NoAddressLeft: Fault(500, "InsufficientAddressCapacity"),
        core.AddressBound: Fault(400, "Resource.AlreadyAssociated"),
        core.AddressInUse: Fault(400, "InvalidIPAddress.InUse"),
        core.PrivateAddressTaken: Fault(
            400, "InvalidIPAddress.InUse", lambda error: f"Address {error.address} is in use."
        ),
        core.DiskInUse: Fault(400, "VolumeInUse", _disk_in_use),
        ports.DriverError: Fault(503, "Unavailable"),
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
        core.UnknownRegion: Fault(403, "SignatureDoesNotMatch", _wrong_region),
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
    if isinstance(error, core.UnknownResource):
        refusal = not_found(error.kind, error.name)
        return Fault(refusal.status, refusal.code, lambda _: str(refusal))
    if isinstance(error, ports.DriverError) and error.code is ports.DriverCode.UNSUPPORTED:
        return Fault(400, "UnsupportedOperation")
    if isinstance(error, core.LimitReached):
        return Fault(400, _LIMITS[error.kind][0], _limit_text)
    return (STS_FAULTS.find(error) if is_sts else None) or EC2_FAULTS.find(error) or _INTERNAL
