"""The drawings and tables of docs/architecture.md, made of the code: Mermaid where a picture helps, else Markdown."""

import re
import sqlite3
import tomllib
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cmp_to_key
from inspect import getsource, isfunction, signature
from itertools import product
from pathlib import Path

import grimp

from core import instances
from core.errors import CoreError
from core.instances import STATES, Cause, Instance, Power, ShutdownBehaviour, State, Wanted
from core.orders import Status, instance_status, order_status
from core.reconciler import step_for
from core.service import Core
from core.storage.migrate import migrations
from tests.builders import an_instance
from tests.clocks import NOON
from tests.running import REPOSITORY

CONTRACTS = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
FRONT_ENDS = ("ec2", "zerosix", "console", "metadata")
LATER = NOON.replace(hour=13)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def mermaid(lines: Iterable[str]) -> str:
    """Return a drawing as a block of Mermaid."""
    return "\n".join(("```mermaid", *lines, "```", ""))


def code(names: Iterable[str]) -> str:
    """Return names as code, with commas."""
    return ", ".join(f"`{name}`" for name in names)


# --- rooms: who imports whom, and who must not


def rooms() -> str:
    """Return the rooms, with an arrow where one imports another; what a longer way of arrows tells is left out."""
    graph = grimp.build_graph(*_LAYERS, cache_dir=None)
    imported: dict[str, set[str]] = defaultdict(set)
    for module in graph.modules:
        room = _room_of(module)
        imported[room] |= {_room_of(other) for other in graph.find_modules_directly_imported_by(module)} - {room}
    lines = ["flowchart TB"]
    for layer in _LAYERS:
        lines.append(f'    subgraph {layer}_layer["{layer}/"]')
        inside = [room for room in _ROOMS if room.startswith(layer)]
        lines += [f'        {_node(room)}["{_LABELS.get(room, room)}"]' for room in inside]
        lines.append("    end")
    lines += [f"    {_node(room)} --> {_node(other)}" for room in _ROOMS for other in sorted(_nearest(imported, room))]
    return mermaid(lines)


_LAYERS = ("gateway", "protocols", "core")
_ROOMS = ("gateway", *(f"protocols.{each}" for each in FRONT_ENDS), "protocols", "core", "core.storage", "core.compute")
_LABELS = {
    "gateway": "configuration, command line,<br>composition",
    "protocols": "boundary, faults,<br>what front-ends share",
    "core": "verbs, domain, reconciler,<br>ports",
}


def _room_of(module: str) -> str:
    """Return the smallest room that the module is in."""
    return max((room for room in _ROOMS if f"{module}.".startswith(f"{room}.")), key=len)


def _nearest(imported: Mapping[str, set[str]], room: str) -> set[str]:
    """Return the rooms that a room imports, but for those that one of them imports."""
    return {other for other in imported[room] if not any(other in imported[each] for each in imported[room])}


def _node(room: str) -> str:
    return f"{room.replace('.', '_')}_room"


def contracts() -> str:
    """Return the import contracts, as pyproject.toml has them."""
    return table(("contract", "what it keeps"), [(each["name"], _KINDS[each["type"]](each)) for each in CONTRACTS])


def _layers(contract: Mapping[str, Sequence[str]]) -> str:
    return f"{' > '.join(f'`{each}`' for each in contract['layers'])}: imports go down only"


def _independence(contract: Mapping[str, Sequence[str]]) -> str:
    return f"{code(contract['modules'])}: none imports another"


def _forbid(contract: Mapping[str, Sequence[str]]) -> str:
    sources = contract["source_modules"]
    named = code(sources) if len(sources) < 4 else f"the {len(sources)} modules of `core` itself"
    indirectly = ", directly" if contract.get("allow_indirect_imports") else ""
    return f"{named} import{'s' if len(sources) == 1 else ''} none of {code(contract['forbidden_modules'])}{indirectly}"


_KINDS = {"layers": _layers, "independence": _independence, "forbidden": _forbid}


# --- a machine: its life, found by trying everything that can happen to it


Deed = Callable[[Instance], Instance]

VERBS: Mapping[str, Deed] = {
    "start": lambda row: instances.after_start(row, LATER),
    "stop": lambda row: instances.after_stop(row, LATER),
    "terminate": lambda row: instances.after_terminate(row, LATER),
}
SEEN: Mapping[str, Deed] = {
    f"seen {power}": lambda row, power=power: instances.absorb(row, power, LATER) for power in Power
}
GIVEN_UP: Mapping[str, Deed] = {
    "given up": lambda row: instances.after_failure(row, LATER, Cause.LAUNCH_FAILED, ""),
}
HAPPENINGS: Mapping[str, Deed] = {**VERBS, **SEEN, **GIVEN_UP}


def lives() -> set[tuple[State, str, State]]:
    """Return every change of state that a machine can go through, with what brings it about."""
    found: set[tuple[State, str, State]] = set()
    new = [an_instance(State.PENDING, shutdown_behaviour=each) for each in ShutdownBehaviour]
    known = set(new)
    while new:
        row = new.pop()
        for name, happens in HAPPENINGS.items():
            try:
                after = happens(row)
            except CoreError:
                continue  # the verb is refused there
            if after.state is not row.state:
                found.add((row.state, name, after.state))
            if after not in known:
                known.add(after)
                new.append(after)
    return found


def machine_states() -> str:
    """Return the life of a machine as a state diagram."""
    causes: dict[tuple[State, State], set[str]] = defaultdict(set)
    for before, name, after in lives():
        causes[before, after].add(name)
    lines = ["stateDiagram-v2", f"    [*] --> {_state(State.PENDING)} : book"]
    lines += [f'    state "{state}" as {_state(state)}' for state in State if "-" in state]
    for before, after in product(State, State):
        if names := causes.get((before, after)):
            lines.append(f"    {_state(before)} --> {_state(after)} : {_shortened(names)}")
    lines.append(f"    {_state(State.TERMINATED)} --> [*] : archived")
    return mermaid(lines)


def _state(state: State) -> str:
    return state.replace("-", "_")


def _shortened(names: Collection[str]) -> str:
    """Return causes as a label; what is seen stands behind one "seen"."""
    seen = " or ".join(name.removeprefix("seen ") for name in SEEN if name in names)
    others = [name for name in (*VERBS, *GIVEN_UP) if name in names]
    return ", ".join([*others, *([f"seen {seen}"] if seen else [])])


def states() -> str:
    """Return the state of a machine for each pair of what is wanted and what was seen last."""
    powers = [None, *(power for power in Power if power is not Power.UNKNOWN)]
    rows = [[_seen(power), *(f"`{STATES[wanted, power]}`" for wanted in Wanted)] for power in powers]
    return table(["seen last", *(f"wanted `{wanted}`" for wanted in Wanted)], rows)


def _seen(power: Power | None) -> str:
    return "nothing yet" if power is None else f"`{power}`"


SITUATIONS: Mapping[str, Mapping[str, object]] = {
    "as it is": {},
    "a change is due": {"version": 1},
    "a new disk is due": {"version": 1, "generation": 1},
    "a reboot is due": {"needs_reboot": True},
    "the stop is forced": {"is_forced": True},
}


def steps() -> str:
    """Return what the reconciler does about a machine, for each pair of what is wanted and what is seen now."""
    rows = [[_seen(power), *(_steps(wanted, power) for wanted in Wanted)] for power in Power]
    return table(["seen now", *(f"wanted `{wanted}`" for wanted in Wanted)], rows)


def _steps(wanted: Wanted, power: Power) -> str:
    """Return the usual step, and those of other situations where they differ."""
    taken = {name: step_for(an_instance(wanted=wanted, **row), power) for name, row in SITUATIONS.items()}
    words = {name: "nothing" if step is None else step.name.lower() for name, step in taken.items()}
    usual = words.pop("as it is")
    return "; ".join([usual, *(f"{step} if {name}" for name, step in words.items() if step != usual)])


# --- an order: how it stands


def order_states() -> str:
    """Return how a machine stands in its order, by its state; the status that prevails in an order first."""
    stands: dict[Status, set[str]] = defaultdict(set)
    for row in _rows_of_orders():
        stands[instance_status(row)].add(_standing(row))
    rows = [(f"`{status}`", " or ".join(sorted(stands[status]))) for status in _ranked()]
    return table(("status", "when the machine is"), rows)


def _rows_of_orders() -> Sequence[Instance]:
    rows = [an_instance(wanted=wanted, observed=power) for wanted, power in STATES]
    return [*rows, an_instance(State.TERMINATED, has_failed=True)]


def _standing(row: Instance) -> str:
    if row.has_failed:
        return f"`{row.state}` and has never been up"
    if row.state is not State.PENDING:
        return f"`{row.state}`"
    return f"`{row.state}`, and the driver has {'not yet ' if row.observed is None else ''}accepted it"


def _ranked() -> Sequence[Status]:
    """Return the statuses, those that prevail in an order first."""
    rows = {instance_status(row): row for row in _rows_of_orders()}
    assert rows.keys() == set(Status)

    def before(one: Status, other: Status) -> int:
        return -1 if order_status([rows[one], rows[other]]) is one else 1

    return sorted(rows, key=cmp_to_key(before))


# --- what front-ends ask of core


def verbs() -> str:
    """Return the verbs of core that more than one front-end calls: there is one code path for each."""
    called = {front_end: set(_called(REPOSITORY / "protocols" / front_end)) for front_end in FRONT_ENDS}
    callers = {verb: [each for each in FRONT_ENDS if verb in called[each]] for verb in _verbs_of_core()}
    shared = {verb: found for verb, found in callers.items() if len(found) > 1}
    columns = [each for each in FRONT_ENDS if any(each in found for found in shared.values())]
    rows = [(f"`{verb}`", *("yes" if each in found else "" for each in columns)) for verb, found in shared.items()]
    return table(("verb of `Core`", *columns), rows)


def _verbs_of_core() -> Iterator[str]:
    """Yield `book` for a verb of `Core` itself, `machines.resize` for one of its parts."""
    yield from _verbs_of(Core)
    for part, kind in re.findall(r"self\.([a-z]\w*) = ([A-Z]\w*)\(", getsource(Core)):
        yield from (f"{part}.{verb}" for verb in _verbs_of(Core.__init__.__globals__[kind]))


def _verbs_of(kind: type) -> Iterator[str]:
    """Yield the names of methods that do something for a caller."""
    for name, value in vars(kind).items():
        if isfunction(value) and not name.startswith("_") and "caller" in signature(value).parameters:
            yield name


def _called(folder: Path) -> Iterator[str]:
    """Yield all that may be verbs of core in the modules of a front-end; what they import is none."""
    for file in folder.rglob("*.py"):
        used = re.sub(r"^(?:from|import) .*", "", file.read_text(), flags=re.MULTILINE)
        yield from re.findall(r"\b(?:core|_core|Core)\.((?:[a-z]+\.)?[a-z_]+)", used)


# --- the rows


def schema() -> str:
    """Return the tables of the database, and which refers to which."""
    with _database() as db:
        names = [name for (name,) in db.execute(_TABLES)]
        parents = {name: {row[2] for row in db.execute(f"PRAGMA foreign_key_list({name})")} for name in names}
    arrows = [f"    {name} --> {parent}" for name in names for parent in sorted(parents[name])]
    connected = set().union(*parents.values()) | {name for name in names if parents[name]}
    alone = [f"    {name}" for name in names if name not in connected]
    return mermaid(["flowchart LR", *arrows, *alone])


_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name"


def _database() -> sqlite3.Connection:
    db = sqlite3.connect(":memory:")
    for step in migrations():
        db.executescript(step.sql)
    return db


def steps_of_schema() -> str:
    """Return the migrations, with the first sentence of each."""
    rows = [(f"{step.number:04}", f"`{step.name}`", _first_comment(step.sql)) for step in migrations()]
    return table(("number", "name", "what it brings"), rows)


def _first_comment(sql: str) -> str:
    return sql.partition("\n")[0].removeprefix("-- ")


DRAWINGS: Mapping[str, Callable[[], str]] = {
    "rooms": rooms,
    "contracts": contracts,
    "machine": machine_states,
    "states": states,
    "steps": steps,
    "order": order_states,
    "verbs": verbs,
    "schema": schema,
    "migrations": steps_of_schema,
}
"""What the page shows, by the name that stands in its markers."""


def marked(name: str) -> str:
    """Return a drawing as it stands on the page, with the mark by which it is found there."""
    text, mark, fence = DRAWINGS[name](), f"made of the code: {name}", "```mermaid\n"
    if text.startswith(fence):
        return f"{fence}%% {mark}\n{text.removeprefix(fence)}"
    return f"<!-- {mark} -->\n{text}"
