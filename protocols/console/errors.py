"""How the console words what core refuses: a status, and a sentence that says what to do."""

from core import errors as core
from core.ports import DriverError
from protocols.boundary import BodyBroken, BodyTooLarge, BodyTooSlow
from protocols.console.auth import NotFromHere
from protocols.console.lasting import TooManyOpen
from protocols.faults import Fault, FaultTable


class PageNotFound(Exception):
    """There is no such page, or not for whoever asks."""

    def __init__(self) -> None:
        super().__init__("There is no such page.")


class MethodNotAllowed(Exception):
    """The page cannot be asked so."""

    def __init__(self) -> None:
        super().__init__("This page cannot be asked for in this way.")


def _gone(_: Exception) -> str:
    return "There is no such page. What it showed may have ended, or was never yours."


NOT_FOUND = Fault(404, "NotFound", _gone)

CONSOLE_FAULTS = FaultTable(
    {
        PageNotFound: NOT_FOUND,
        MethodNotAllowed: Fault(405, "MethodNotAllowed"),
        NotFromHere: Fault(403, "NotFromHere"),
        TooManyOpen: Fault(429, "TooManyOpen"),
        BodyTooLarge: Fault(413, "BodyTooLarge", lambda _: "What you sent is too large."),
        BodyTooSlow: Fault(408, "BodyTooSlow"),
        BodyBroken: Fault(400, "BodyBroken"),
        # who is there
        core.PersonError: Fault(422, "Refused"),
        core.NotSignedIn: Fault(401, "NotSignedIn"),
        core.NotAnOperator: NOT_FOUND,
        core.TooManyAttempts: Fault(429, "TooManyAttempts"),
        core.AccountSuspended: Fault(403, "AccountSuspended"),
        # what is not there, whether it is somebody else's or never was
        core.UnknownInstances: NOT_FOUND,
        core.UnknownOrder: NOT_FOUND,
        core.ForeignOrder: NOT_FOUND,
        core.UnknownResource: NOT_FOUND,
        core.UnknownApplication: NOT_FOUND,
        core.UnknownAccount: NOT_FOUND,
        core.UnknownUser: NOT_FOUND,
        core.UnknownKeyPairs: NOT_FOUND,
        # what cannot be done now
        core.StoreUnavailable: Fault(503, "StoreUnavailable"),
        DriverError: Fault(503, "Unavailable"),
        core.CoreError: Fault(422, "Refused"),
    }
)

SERVER_FAULT = Fault(500, "InternalError", lambda _: "Something went wrong here. Tell the operator the request id.")


def fault_of(error: BaseException) -> Fault:
    """Return what to tell a person of any exception."""
    return CONSOLE_FAULTS.find(error) or SERVER_FAULT
