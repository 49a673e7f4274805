"""ZeroSix's codes for everything that can be refused, and the body that tells them.

The codes and words are those of seed-zerosix-api.md; where it is silent, those of WordPress and WooCommerce
(wordpress-conventions.md). What they do not have begins with `onefleet_`.
"""

from collections.abc import Callable, Mapping
from http import HTTPStatus

from core import errors as core
from protocols.boundary import BodyBroken, BodyTooLarge, BodyTooSlow
from protocols.faults import Fault, FaultTable
from protocols.zerosix import oauth1


class Refusal(Exception):
    """A refusal of what only this protocol knows. `details` go into the answer's `data`, `headers` into its head."""

    def __init__(
        self, fault: Fault, *, details: Mapping[str, object] | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(fault.text(self))
        self.fault, self.details, self.headers = fault, details or {}, headers or {}


def _words(text: str) -> Callable[[object], str]:
    """Return a text for every exception: the documented words, whatever core has to say."""
    return lambda _: text


# --- who is calling

_AUTHENTICATION = "woocommerce_rest_authentication_error"

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
INVALID_JSON = Fault(400, "rest_invalid_json", _words("Invalid JSON body passed."))
NOT_AN_OBJECT = Fault(400, "rest_invalid_json", _words("Invalid JSON body passed: it must be an object."))

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
        oauth1.OAuthError: Fault(401, _AUTHENTICATION),
        oauth1.MissingParameters: Fault(401, oauth1.MissingParameters.code),
        core.UnknownKey: Fault(401, _AUTHENTICATION, _words("Consumer key is invalid.")),
        core.NonceUsed: Fault(401, _AUTHENTICATION, _words("Invalid nonce - nonce has already been used.")),
        core.AddressNotAllowed: Fault(401, _AUTHENTICATION),
        # the request
        core.InvalidRequest: Fault(400, "rest_invalid_param"),
        BodyBroken: Fault(400, "rest_invalid_json"),
        BodyTooLarge: Fault(413, "woocommerce_rest_request_entity_too_large"),
        BodyTooSlow: Fault(408, "onefleet_request_timeout"),
        # the domain
        core.UnknownProduct: INVALID_PRODUCT_ID,
        # Documented so: not an error to HTTP, although nothing was booked.
        core.InsufficientCapacity: Fault(
            200,
            "order_not_available_resources",
            _words("Number of requested instances unavailable at this moment."),
        ),
        core.UnknownOrder: INVALID_ORDER_ID,
        core.ForeignOrder: Fault(
            401, "order_invalid_permissions", _words("You are not authorized to modify this order.")
        ),
        core.OrderEnded: Fault(
            404,
            "order_invalid_status",
            _words("Order has been marked already as completed. You cant delete this order."),
        ),
        core.StoreUnavailable: Fault(503, "onefleet_unavailable"),
    }
)

SERVER_FAULT = Fault(
    500,
    "internal_server_error",
    _words("There has been a critical error on this server. Tell the operator the request_id."),
)


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
