"""The operator's verbs, as the command line asks for them: a module a subject, each with its `VERBS`.

A verb takes what was typed, calls core's verbs, and answers with a document. Ids in documents are spelled as EC2 spells
them, with the number beside them; times are RFC 3339, UTC; money is text.
"""

from collections.abc import Mapping

from gateway.control import Arguments, Document
from gateway.office import Office, Verb
from gateway.trouble import Trouble
from gateway.verbs import accounts, applications, audit, catalogue, health, instances, orders, people, usage

VERBS: Mapping[str, Verb] = {
    **accounts.VERBS,
    **people.VERBS,
    **applications.VERBS,
    **catalogue.VERBS,
    **orders.VERBS,
    **instances.VERBS,
    **usage.VERBS,
    **audit.VERBS,
    **health.VERBS,
}
"""Every verb by its words on the command line."""


class UnknownVerb(Trouble):
    """No verb has these words here."""

    def __init__(self) -> None:
        super().__init__("the running gateway does not know this command: it is of another version; restart it")


async def carry_out(office: Office, verb: str, arguments: Arguments) -> Document:
    """Return the verb's answer.

    Raises:
        UnknownVerb: there is no such verb.
        CoreError, Trouble: it was refused.
    """
    if verb not in VERBS:
        raise UnknownVerb
    return await VERBS[verb](office, arguments)
