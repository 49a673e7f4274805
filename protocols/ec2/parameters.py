"""The names and values of a request, and what may be wrong with them."""

from urllib.parse import unquote

Pair = tuple[str, str]

SHOWN_CHARACTERS = 200


class BadEncoding(Exception):
    """A query or a form is not UTF-8."""


class BadParameter(Exception):
    """A parameter that the action cannot take; `name` is its name as sent, and the text is AWS's."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


class UnknownParameter(BadParameter):
    """The action has no such parameter."""

    def __init__(self, name: str) -> None:
        super().__init__(name, f"The parameter {name} is not recognized")


class MissingParameter(BadParameter):
    """The action needs this parameter."""

    def __init__(self, name: str) -> None:
        super().__init__(name, f"The request must contain the parameter {name}")


class DuplicateParameter(BadParameter):
    """The parameter was sent twice, or with both a value and members."""

    def __init__(self, name: str) -> None:
        super().__init__(name, f"The parameter {name} may be given only once")


class InvalidValue(BadParameter):
    """The value is not one of this parameter's; `expected` says what is."""

    def __init__(self, name: str, value: str, expected: str) -> None:
        shown = value if len(value) <= SHOWN_CHARACTERS else f"{value[:SHOWN_CHARACTERS]}..."
        super().__init__(name, f"Value ({shown}) for parameter {name} is invalid. Expected {expected}.")
        self.value = value
        self.expected = expected


def parse_form(raw: bytes | str) -> list[Pair]:
    """The names and values of a query string or a form, decoded, in the order sent.

    Raises:
        BadEncoding: they are not UTF-8.
    """
    try:
        text = raw if isinstance(raw, str) else raw.decode()
        items = [item.partition("=") for item in text.split("&") if item]
        return [(_unquoted(name), _unquoted(value)) for name, _, value in items]
    except UnicodeDecodeError as error:
        raise BadEncoding(f"The parameters are not UTF-8: {error.reason}") from error


def _unquoted(text: str) -> str:
    if "+" in text:
        text = text.replace("+", " ")
    return unquote(text, errors="strict") if "%" in text else text
