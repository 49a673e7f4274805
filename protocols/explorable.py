"""What the API explorer needs of a protocol: its operations, requests signed as a client would, and how clients say it.

The console knows of the protocols only this; each of them has a module `explorable` that is it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Protocol, Self

Values = Mapping[str, Sequence[str]]
"""What was typed, by the name of its field. A list may be typed as several values, as several lines, or as both."""

Extra = Sequence[tuple[str, str]]
"""Parameters for which there is no field, as `Operation.more` names them, with their values."""

LONGEST_ANSWER_BYTES = 1024 * 1024

_LOOPBACK = re.compile(r"(127\.\d+\.\d+\.\d+|localhost|\[::1\])(:\d+)?", re.ASCII)
_PORT = re.compile(r":\d+$", re.ASCII)
_PARAMETER = re.compile(r"[A-Za-z_][A-Za-z0-9._\-\[\]]{0,255}")


class FieldKind(StrEnum):
    """How a field is filled in. Of the last three, each line is an item."""

    TEXT = "text"
    LONG_TEXT = "long-text"
    NUMBER = "number"
    FLAG = "flag"
    """Nothing, `true` or `false`."""
    CHOICE = "choice"
    """One of the choices, which may be typed as well."""
    LIST = "list"
    FILTERS = "filters"
    """`name=value,value`; the choices are the names."""
    TAGS = "tags"
    """`key=value`."""


@dataclass(frozen=True, slots=True)
class Field:
    """One parameter of an operation. The description is for people and may be empty.

    The default is what counts where nothing is typed: to be shown, but not filled in, as sending it may mean more.
    """

    name: str
    kind: FieldKind = FieldKind.TEXT
    description: str = ""
    choices: Sequence[str] = ()
    is_required: bool = False
    default: str = ""


@dataclass(frozen=True, slots=True)
class Operation:
    """An action or a method of a route. `is_reading` means that it changes nothing.

    `more` are the parameters that it takes besides its fields, in the spelling in which they are sent.
    """

    name: str
    group: str
    summary: str
    is_reading: bool
    fields: Sequence[Field]
    more: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Origin:
    """Where clients reach the gateway: `https` and `cloud.example`, the host with its port if that is not the usual."""

    scheme: str
    host: str

    @property
    def url(self) -> str:
        """The origin without a slash at its end."""
        return f"{self.scheme}://{self.host}"

    @property
    def is_private(self) -> bool:
        """Whether nobody can read along: by TLS, or because it is this very machine."""
        return self.scheme == "https" or _LOOPBACK.fullmatch(self.host) is not None

    def called(self, name: str) -> Self:
        """Return the origin under another name, on the port that it has; an empty name: as it is."""
        port = _PORT.search(self.host)
        return replace(self, host=f"{name}{port[0] if port else ''}") if name else self


@dataclass(frozen=True, slots=True)
class Signer:
    """Who signs, when, and for which region; the nonce is fresh for every request."""

    access_key: str
    secret_key: str = field(repr=False)
    region: str
    now: datetime
    nonce: str


@dataclass(frozen=True, slots=True)
class Prepared:
    """A signed request as it goes over the wire, but for the length of its body. It holds no secret.

    `headers` have the Host that was signed.
    """

    method: str
    path_and_query: str
    headers: Sequence[tuple[str, str]]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Answered:
    """What came back, after how many seconds. Of a body that is not whole the first `LONGEST_ANSWER_BYTES` are here."""

    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes
    seconds: float
    is_whole: bool = True


@dataclass(frozen=True, slots=True)
class Spelling:
    """The same request as a person would write it in a language: `language` is its title."""

    language: str
    text: str


class Unfit(Exception):
    """What was typed into a field cannot be sent at all; `text` says why and what to do. `field` may be `extra`."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(f"{field}: {text}")
        self.field, self.text = field, text


class NoAnswer(Exception):
    """The gateway did not answer the request; the text says why."""


class Explorable(Protocol):
    """A protocol that can be explored; a request is for a region only where it `has_regions`."""

    name: str
    has_regions: bool

    def operations(self) -> Sequence[Operation]:
        """Return all operations; they are made once."""
        ...

    def prepare(self, operation: str, values: Values, extra: Extra, *, origin: Origin, signer: Signer) -> Prepared:
        """Return the request, signed. What the API would refuse is sent all the same, to see it refused.

        Raises:
            Unfit: a value cannot be sent.
            KeyError: there is no such operation.
        """
        ...

    def spell(
        self, operation: str, values: Values, extra: Extra, *, origin: Origin, region: str, access_key: str
    ) -> Sequence[Spelling]:
        """Return the same request in every language that can say it; the secret is a variable of the environment.

        Raises:
            Unfit, KeyError: as `prepare`.
        """
        ...


class Door(Protocol):
    """A way to send a prepared request to this very gateway."""

    async def send(self, prepared: Prepared, *, address: str, scheme: str) -> Answered:
        """Return what is answered to the request as if it had come from the client's address, by the scheme.

        Raises:
            NoAnswer: there is no answer, or not in time.
        """
        ...


def lines(typed: Sequence[str]) -> list[str]:
    """Return the items that were typed into a list, without blanks around them."""
    return [line.strip() for text in typed for line in text.split("\n") if line.strip()]


def single(typed: Sequence[str]) -> str:
    """Return what was typed into a field of one value; empty if nothing was."""
    return next((text for text in typed if text), "")


def halves(field_name: str, line: str, example: str) -> tuple[str, str]:
    """Return the two sides of the first `=` in a line.

    Raises:
        Unfit: it has none, or nothing before it.
    """
    name, sign, value = line.partition("=")
    if not sign or not name.strip():
        raise Unfit(field_name, f"{line!r} has no name and value; write a line such as {example}.")
    return name.strip(), value.strip()


def parse_extra(text: str) -> Iterator[tuple[str, str]]:
    """Yield the parameters of lines such as `Placement.AvailabilityZone=sgp1a`.

    Raises:
        Unfit: a line is not of this form.
    """
    for line in lines([text]):
        name, value = halves("extra", line, "Placement.AvailabilityZone=sgp1a")
        if not _PARAMETER.fullmatch(name):
            raise Unfit("extra", f"{name!r} is no name of a parameter; write letters, digits and dots before the '='.")
        yield name, value


def sendable(field_name: str, text: str) -> str:
    """Return a text that can be sent, its lines ended as Unix does: forms end them as DOS did.

    Raises:
        Unfit: it holds what is no text, such as half a character or NUL.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Unfit(field_name, "this is not UTF-8; type it anew.") from None
    if "\0" in text:
        raise Unfit(field_name, "a NUL character cannot be sent; leave it out.")
    return text.replace("\r\n", "\n")


def php_text(text: str) -> str:
    """Return a text as PHP writes it."""
    quoted = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{quoted}'"
