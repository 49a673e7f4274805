"""ZeroSix's codes for everything that can be refused, and the body that tells them.

The codes and words are those of seed-zerosix-api.md; where it is silent, those of WordPress and WooCommerce
(wordpress-conventions.md). What they do not have begins with `onefleet_`.
"""

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus

from core import errors as core
from protocols.boundary import BodyBroken, BodyTooLarge, BodyTooSlow
from protocols.faults import Fault, FaultTable
from protocols.zerosix import oauth1


class Refusal(Exception):
    """A refusal of what only this protocol knows.

    `text` is for a fault that has no words of its own. `details` go into the answer's `data`, `headers` into its head.
    """

    def __init__(
        self,
        fault: Fault,
        text: str = "",
        *,
        details: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(text or fault.text(self))
        self.fault, self.details, self.headers = fault, details or {}, headers or {}


def _words(text: str) -> Callable[[object], str]:
    """Return a text for every exception: the documented words, whatever core has to say."""
    return lambda _: text


# --- who is calling

_AUTHENTICATION = "woocommerce_rest_authentication_error"

NOT_BELIEVED = Fault(401, _AUTHENTICATION)
INCOMPLETE_OAUTH = Fault(401, oauth1.MissingParameters.code)
WRONG_SECRET = Fault(401, _AUTHENTICATION, _words("Consumer secret is invalid."))
UNREADABLE_BASIC = Fault(
    401, _AUTHENTICATION, _words("Malformed Authorization header - write Basic base64(consumer key:consumer secret).")
)
NOT_PRIVATE = Fault(
    401,
    _AUTHENTICATION,
    _words(
        "The consumer secret was sent over plain HTTP, where others can read it, and is not accepted:"
        " use HTTPS, or sign the request with OAuth 1.0a. Consider renewing the key."
    ),
)
ANONYMOUS = {
    "GET": Fault(401, "woocommerce_rest_cannot_view", _words("Sorry, you cannot list resources.")),
    "HEAD": Fault(401, "woocommerce_rest_cannot_view", _words("Sorry, you cannot list resources.")),
    "PUT": Fault(401, "woocommerce_rest_cannot_create", _words("Sorry, you are not allowed to create resources.")),
    "POST": Fault(401, "woocommerce_rest_cannot_create", _words("Sorry, you are not allowed to create resources.")),
    "DELETE": Fault(401, "woocommerce_rest_cannot_delete", _words("Sorry, you are not allowed to delete resources.")),
}
"""The refusal of a request without any credentials, by its method."""

# --- the request

_NO_ROUTE = "No route was found matching the URL and request method."
UNKNOWN_ROUTE = Fault(404, "rest_no_route", _words(_NO_ROUTE))
# WordPress has one code for both, and clients look for it; the status is the seed's ("400: using an unsupported HTTP
# method"), which WordPress answers with 404.
UNSUPPORTED_METHOD = Fault(400, "rest_no_route", _words(_NO_ROUTE))
UNREADABLE_PARAMETERS = Fault(
    400,
    "rest_invalid_param",
    _words(f"The query or the form cannot be read: send UTF-8, and at most {oauth1.PARAMETERS_MAX} parameters."),
)
INVALID_PARAMETERS = Fault(400, "rest_invalid_param")
MISSING_PARAMETERS = Fault(400, "rest_missing_callback_param")
OVERRIDE_WITHOUT_POST = Fault(
    400,
    "rest_invalid_param",
    _words("Only a POST request may ask for another method, by _method or by X-HTTP-Method-Override."),
)
INVALID_JSON = Fault(400, "rest_invalid_json", _words("Invalid JSON body passed."))
NOT_AN_OBJECT = Fault(400, "rest_invalid_json", _words("Invalid JSON body passed: it must be an object."))

TOO_OFTEN = Fault(429, "onefleet_too_many_requests")
SUSPENDED = Fault(403, "onefleet_account_suspended")
CALLER_FAULTS = (INCOMPLETE_OAUTH, NOT_BELIEVED, SUSPENDED, TOO_OFTEN, *ANONYMOUS.values())
"""How any request to what is not public may be refused for its caller."""

REQUEST_FAULTS = (INVALID_PARAMETERS, INVALID_JSON)
"""How any request may be refused for its form."""

# --- products

UNKNOWN_PRODUCT = Fault(404, "products_invalid_id", _words("Invalid product ID."))
INVALID_RELATION = Fault(
    400, "products_invalid_relation", _words("Invalid relation type. Please use: greater, equal or less.")
)
INVALID_PRICES = Fault(
    400,
    "products_invalid_prices",
    _words("Invalid min or max price type. Please valid your input to numbers only"),
)
CROSSED_PRICES = Fault(400, "products_invalid_prices", _words("min price must be less than max price."))
INVALID_ATTRIBUTE = Fault(
    400,
    "products_invalid_attribute",
    _words("Please input valid attributes according to the attributes table."),
)

# --- orders

INVALID_PRODUCT_ID = Fault(400, "order_invalid_product_id", _words("Invalid ProductID."))
INVALID_INSTANCES = Fault(400, "order_invalid_instances", _words("Invalid number of instances"))
INVALID_ORDER_ID = Fault(400, "order_invalid_id", _words("Invalid Order ID."))
# Documented so: not an error to HTTP, although nothing was booked.
NO_ROOM = Fault(
    200,
    "order_not_available_resources",
    _words("Number of requested instances unavailable at this moment."),
)
FOREIGN_ORDER = Fault(401, "order_invalid_permissions", _words("You are not authorized to modify this order."))
ENDED_ORDER = Fault(
    404,
    "order_invalid_status",
    _words("Order has been marked already as completed. You cant delete this order."),
)
# Neither is WooCommerce's or ZeroSix's: a customer's limit, and what the customer set through EC2.
TOO_MUCH = Fault(403, "onefleet_limit_reached")
TOO_DEAR = Fault(403, "onefleet_spending_limit")
PROTECTED = Fault(403, "onefleet_machine_protected")
_LINK = "Use an http or https URL of at most 2048 characters, without blanks."
INVALID_URL = {
    "file_url": Fault(400, "order_invalid_file_url", _words(f"Invalid file URL. {_LINK}")),
    "script_url": Fault(400, "order_invalid_script_url", _words(f"Invalid script URL. {_LINK}")),
}

# --- credentials

MALFORMED_ORDER_KEY = Fault(400, "credentials_invalid_order_key", _words("Invalid Order Key."))
UNKNOWN_ORDER_KEY = Fault(
    400, "credentials_invalid_id", _words("Problem with order_key. Please mention valid order_key.")
)
ENDED_ORDER_KEY = Fault(
    403,
    "credentials_order_complete",
    _words("Not authorized to see order credentials. Order is completed."),
)

ZEROSIX_FAULTS = FaultTable(
    {
        # the caller
        oauth1.OAuthError: NOT_BELIEVED,
        oauth1.MissingParameters: INCOMPLETE_OAUTH,
        core.UnknownKey: Fault(401, _AUTHENTICATION, _words("Consumer key is invalid.")),
        core.NonceUsed: Fault(401, _AUTHENTICATION, _words("Invalid nonce - nonce has already been used.")),
        core.AddressNotAllowed: NOT_BELIEVED,
        core.AccountSuspended: SUSPENDED,
        # the request
        core.InvalidRequest: INVALID_PARAMETERS,
        BodyBroken: Fault(400, "rest_invalid_json"),
        BodyTooLarge: Fault(413, "woocommerce_rest_request_entity_too_large"),
        BodyTooSlow: Fault(408, "onefleet_request_timeout"),
        # the domain
        core.UnknownProduct: INVALID_PRODUCT_ID,
        core.InsufficientCapacity: NO_ROOM,
        core.UnknownOrder: INVALID_ORDER_ID,
        core.ForeignOrder: FOREIGN_ORDER,
        core.OrderEnded: ENDED_ORDER,
        core.Protected: PROTECTED,
        core.LimitReached: TOO_MUCH,
        core.SpendingLimitReached: TOO_DEAR,
        core.TooManyRequests: TOO_OFTEN,
        core.StoreUnavailable: Fault(503, "onefleet_unavailable"),
    }
)

SERVER_FAULT = Fault(
    500,
    "internal_server_error",
    _words("There has been a critical error on this server. Tell the operator the request_id."),
)


REFUSALS = (Refusal, oauth1.OAuthError, core.CoreError, BodyBroken, BodyTooLarge, BodyTooSlow)
"""Every class of exception that may have a row above."""


def missing_parameters(names: Sequence[str]) -> Refusal:
    """Return the refusal of a request without these parameters."""
    return Refusal(MISSING_PARAMETERS, f"Missing parameter(s): {', '.join(names)}", details={"params": list(names)})


def invalid_parameters(reasons: Mapping[str, tuple[str, str]]) -> Refusal:
    """Return the refusal of parameters that do not fit, for each of which there is a code and words."""
    texts = {name: f"{name} {words}" for name, (_, words) in reasons.items()}
    details = {name: {"code": code, "message": texts[name], "data": None} for name, (code, _) in reasons.items()}
    text = f"Invalid parameter(s): {', '.join(reasons)}"
    return Refusal(INVALID_PARAMETERS, text, details={"params": texts, "details": details})


def fault_of(error: Exception) -> Fault:
    """Return what to tell the client of any exception."""
    return error.fault if isinstance(error, Refusal) else ZEROSIX_FAULTS.find(error) or SERVER_FAULT


def document_of(fault: Fault, error: Exception, request_id: str) -> dict[str, object]:
    """Return the body of a refusal, in WordPress's form."""
    details: dict[str, object] = {"status": fault.status}
    if fault.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        details["request_id"] = request_id
    if isinstance(error, Refusal):
        details |= error.details
    return {"code": fault.code, "message": fault.text(error), "data": details}
