"""What WordPress lets every request ask for: fewer members, an envelope, another method.

Source: wordpress-conventions.md; WordPress, rest_filter_response_fields and WP_REST_Server::serve_request.
"""

from collections.abc import Iterable
from dataclasses import replace

import orjson
from aiohttp import web
from multidict import CIMultiDict

from protocols.zerosix.decode import read_parameters
from protocols.zerosix.errors import OVERRIDE_WITHOUT_POST, Refusal
from protocols.zerosix.pages import in_batches
from protocols.zerosix.parameters import Parameter, Values, flag, list_of, text
from protocols.zerosix.routes import Answer
from protocols.zerosix.settings import ZeroSixSettings

CONTENT_TYPE = "application/json; charset=UTF-8"
OVERRIDE_HEADER = "X-HTTP-Method-Override"

FIELDS = Parameter(
    "_fields",
    list_of(text(r"[^\s,]{1,200}")),
    "Limit the answer to these members; a.b is the member b of a. Refusals are not limited.",
)
ENVELOPE = Parameter(
    "_envelope",
    flag(),
    "Answer with 200 and a document of body, status and headers, whatever the answer is.",
    default=False,
)
METHOD = Parameter(
    "_method",
    text(),
    f"In the query of a POST: the method that is meant. {OVERRIDE_HEADER} says the same. The signature covers POST.",
)
CONVENTIONS = (FIELDS, ENVELOPE, METHOD)

Tree = dict[str, "Tree"]


_JSON = "application/json"


def wants_envelope(query: str, settings: ZeroSixSettings) -> bool:
    """Whether the query asks for an envelope."""
    given = _last(query, ENVELOPE.name)
    return given is not None and ENVELOPE.read(given, settings)


def enveloped(response: web.Response) -> web.Response:
    """Return an answer within an answer; what is not JSON stays as it is."""
    if response.body is not None and response.content_type != _JSON:
        return response
    headers = CIMultiDict(response.headers)
    shown = {str(name): ", ".join(headers.getall(name)) for name in headers}
    body = orjson.Fragment(response.body) if isinstance(response.body, bytes) else None
    headers["Content-Type"] = CONTENT_TYPE
    return web.Response(body=orjson.dumps({"body": body, "status": response.status, "headers": shown}), headers=headers)


def meant_method(sent: str, query: str, header: str | None) -> str:
    """Return the method that a request means; the query's word counts before the header's.

    Raises:
        Refusal: it is another than was sent, and that was not POST.
    """
    asked = (_last(query, METHOD.name) if METHOD.name in query else None) or header or sent
    if asked.upper() == sent:
        return sent
    # The header is not signed, and a browser follows links with the password it knows: neither may turn looking into
    # ending an order.
    if sent != "POST":
        raise Refusal(OVERRIDE_WITHOUT_POST)
    return asked.upper()


async def narrowed(answer: Answer | web.Response, values: Values) -> Answer | web.Response:
    """Return the answer with the members that were asked for."""
    names = values.get(FIELDS)
    if not names or isinstance(answer, web.Response) or answer.document is None:
        return answer
    wanted = _tree(names)
    if not isinstance(answer.document, list):
        return replace(answer, document=_only(answer.document, wanted))
    items: list[object] = []
    async for batch in in_batches(answer.document):
        items += [_only(item, wanted) for item in batch]
    return replace(answer, document=items)


def _last(query: str, name: str) -> str | None:
    return dict(read_parameters(query)).get(name)


def _tree(names: Iterable[str]) -> Tree:
    """Return the names as a tree, in which a name without branches stands for all that is in it."""
    tree: Tree = {}
    for name in sorted(names, key=lambda name: name.count("."), reverse=True):
        *way, last = name.split(".")
        node = tree
        for part in way:
            node = node.setdefault(part, {})
        node[last] = {}  # a comes after a.b, and takes its place
    return tree


def _only(document: object, wanted: Tree) -> object:
    if not wanted:
        return document
    if isinstance(document, list):
        return [_only(item, wanted) for item in document]
    if isinstance(document, dict):
        return {name: _only(member, wanted[name]) for name, member in document.items() if name in wanted}
    return document
