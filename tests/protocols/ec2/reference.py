"""What every action of the EC2 front-end honours, ignores and refuses, as docs/ec2.md has it: from the tables of the code."""

from collections.abc import Iterable, Mapping

from protocols.ec2 import model
from protocols.ec2.app import FAMILIES
from protocols.ec2.dialects import DIALECTS
from protocols.ec2.documented import FILTERS
from protocols.ec2.extensions import EXTENSIONS
from protocols.ec2.filters import BY_ACTION
from protocols.ec2.registry import Action

MODELS = model.load(EXTENSIONS)


def reference() -> str:
    """Return the sections of all actions, by family."""
    parts = []
    for title, family in FAMILIES.items():
        parts.append(f"## {title}\n")
        parts.extend(section(family.actions[name]) for name in sorted(family.actions))
    return "\n".join(parts)


def section(action: Action) -> str:
    """Return what there is to know of one action."""
    parameters = wire_names(action.name)
    named = action.reads | action.ignores.keys() | action.accepts.keys()
    lines = [f"### {action.name}\n", f"{sentence(action)}\n"]
    lines += bullet("Honoured", listed(parameters.get(name, name) for name in action.reads))
    lines += bullet(
        "Ignored", "; ".join(f"`{parameters[name]}`: {why}" for name, why in sorted(action.ignores.items()))
    )
    lines += bullet(
        "Only as it is anyway",
        "; ".join(
            f"`{parameters[name]}` = {' or '.join(shown(value) for value in values)}"
            for name, values in sorted(action.accepts.items())
        ),
    )
    lines += bullet("Refused", listed(wire for name, wire in parameters.items() if name not in named))
    lines += filter_lines(action.name)
    lines += [
        f"- **In the `{dialect.name}` dialect**: {dialect.notes[action.name]}\n"
        for dialect in DIALECTS.values()
        if action.name in dialect.notes
    ]
    return "".join(lines)


def filter_lines(action: str) -> list[str]:
    """Return the filters of an action: those that may match, and those that cannot."""
    filters = BY_ACTION.get(action)
    if filters is None:
        return []
    silent = set(FILTERS.get(action, "").split()) - set(filters.names)
    return bullet("Filters", listed(filters.names)) + bullet("Filters that match nothing here", listed(silent))


def wire_names(action: str) -> Mapping[str, str]:
    """Return the parameters of an action as they are sent, by their names in boto3."""
    for service in MODELS.values():
        if action in service.actions:
            request = service.actions[action].request
            shape = service.shapes[request] if request else None
            members = shape.members if isinstance(shape, model.Structure) else ()
            return {member.name: member.wire for member in members}
    return {}


def sentence(action: Action) -> str:
    """Return the first sentence of what the action's handler says of itself."""
    return (action.handler.__doc__ or "").strip().partition("\n")[0]


def bullet(title: str, text: str) -> list[str]:
    """Return a line of the list, or none if there is nothing to say."""
    return [f"- **{title}**: {text}\n"] if text else []


def listed(names: Iterable[str]) -> str:
    """Return names in order."""
    return ", ".join(f"`{name}`" for name in sorted(set(names)))


def shown(value: object) -> str:
    """Return a value as a request has it."""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, dict):
        return ", ".join(f"{name} {shown(inner)}" for name, inner in value.items())
    return "an empty list" if value == [] else f"`{value}`"
