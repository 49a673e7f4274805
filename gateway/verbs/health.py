"""How the running gateway is, for `onefleet doctor`."""

from collections.abc import Mapping

from gateway.control import Arguments, Document
from gateway.office import Office, Verb


async def _health(office: Office, _: Arguments) -> Document:
    return dict((await office.health()).reasons())


VERBS: Mapping[str, Verb] = {"health": _health}
