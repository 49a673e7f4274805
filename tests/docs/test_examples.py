"""What README.md and the pages in docs/ tell their readers to do is done, page by page, literally as it stands."""

import json
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway import config
from tests.docs.pages import (
    GOES_ON,
    INTERRUPTING,
    NEWCOMERS,
    NOT_PRINTED,
    OTHER_TEST,
    PAGES,
    REFUSED,
    Block,
    blocks,
)
from tests.docs.printed import is_as_told
from tests.docs.stage import ENDED, Failed, Stage
from tests.machines import micro_image
from tests.running import REPOSITORY, Document

__all__ = ["micro_image"]

FOLDER = Path(__file__).parent
DEADLINE_SECONDS, PAUSE_SECONDS = 20.0, 0.05

RUN = ("sh", "bash", "python")
READ_HERE = ("text", "toml", "json")
READ_ELSEWHERE = ("caddyfile", "dockerfile", "http", "ini", "mermaid", "nginx", "promql", "xml", "yaml")
NOTES = {"", GOES_ON, INTERRUPTING, REFUSED, NOT_PRINTED, *NEWCOMERS}

EMPTY: Sequence[str] = ()
CUSTOMERS = ("gateway.sh", "customer.sh")
OPERATORS = ("gateway.sh", "operator.sh", "tagged.sh")
STAGES: Mapping[str, Sequence[str]] = {
    "README.md": EMPTY,
    "quickstart.md": EMPTY,
    "service.md": EMPTY,
    "ec2.md": CUSTOMERS,
    "gigenet.md": ("gateway.sh", "gigenet.sh", "customer.sh"),
    "images.md": ("gateway.sh", "images.sh"),
    "machines.md": ("gateway.sh", "machines.sh", "operator.sh"),
    "networking.md": ("gateway.sh", "machines.sh", "routed.sh"),
    "operating.md": ("gateway.sh", "service_user.sh", "operator.sh", "tagged.sh"),
    "tutorial.md": CUSTOMERS,
    "zerosix.md": CUSTOMERS,
}
"""How a page begins, if not with an operator at a gateway: after scripts in the folder stage."""


@dataclass(frozen=True, slots=True)
class Step:
    """An example, and what the page says that it prints, if it says so."""

    block: Block
    told: str | None = None


of_each_page = pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(REPOSITORY)) for page in PAGES])


@of_each_page
def test_the_examples_of_a_page_run(page: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    steps = list(steps_of(page))
    if not steps:
        return
    with Stage(tmp_path) as stage:
        for step in (*beginning_of(page, request), *steps):
            try:
                perform(stage, step)
            except Failed as error:
                raise failure(page, step.block, error) from None


def beginning_of(page: Path, request: pytest.FixtureRequest) -> Iterator[Step]:
    """Yield what is run before a page begins."""
    for script in STAGES.get(page.name, OPERATORS):
        text = (FOLDER / "stage" / script).read_text()
        if script == "machines.sh":
            image = request.getfixturevalue("micro_image")
            text = f"MICRO={image.disk.parent} MICRO_ARGUMENTS='{image.kernel_arguments}'\n{text}"
        yield Step(Block("sh", text, 0, "", ""))


def failure(page: Path, block: Block, error: Exception) -> BaseException:
    """Return what fails the test, telling where."""
    return pytest.fail.Exception(f"{page.relative_to(REPOSITORY)}:{block.line}\n{block.text}\n{error}", pytrace=False)


def steps_of(page: Path) -> Iterator[Step]:
    """Yield the examples of a page that are run here, each with the first text after it in its section, if any."""
    last: Block | None = None
    for block in blocks(page):
        if block.language in RUN:
            if last:
                yield Step(last)
            last = None if block.is_elsewhere else block
        elif last and block.language == "text" and block.note != NOT_PRINTED and block.section == last.section:
            yield Step(last, block.text)
            last = None
    if last:
        yield Step(last)


def perform(stage: Stage, step: Step) -> None:
    """Run an example, and hold what it prints to what the page says."""
    block = step.block
    if block.note == GOES_ON:
        await_in_other_terminal(stage, step)
        return
    if block.note == INTERRUPTING:
        stage.interrupt()
    run = stage.python if block.language == "python" else stage.shell
    printed = run(block.text, is_refused=block.note == REFUSED)
    if step.told is not None and not is_as_told(printed, step.told):
        raise Failed(f"it printed:\n{printed}\nThe page says:\n{step.told}")


def await_in_other_terminal(stage: Stage, step: Step) -> None:
    """Start what does not end; return once it has printed what the page says."""
    if step.told is None:
        raise Failed("the page does not say what it prints, so nobody knows when to go on")
    stage.go_on(step.block.text)
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not is_as_told(printed := stage.other_terminal(), step.told):
        if ENDED in printed or time.monotonic() > deadline:
            raise Failed(f"the other terminal shows:\n{printed}\nThe page says:\n{step.told}")
        time.sleep(PAUSE_SECONDS)


# --- blocks that are not run


@of_each_page
def test_the_configuration_that_a_page_shows_is_accepted(page: Path, tmp_path: Path) -> None:
    for block in blocks(page):
        if block.language == "toml" and not block.is_elsewhere:
            whole = laid_over(tomllib.loads((REPOSITORY / "config.toml").read_text()), tomllib.loads(block.text))
            try:
                config.parse(whole, tmp_path)
            except config.ConfigError as error:
                raise failure(page, block, error) from None


def laid_over(below: Document, above: Document) -> Document:
    """Return a configuration with a part of one written into it: elements of lists go by their names, if they have any."""
    return below | {key: laid_value(below.get(key), value) for key, value in above.items()}


def laid_value(below: object, above: object) -> object:
    match below, above:
        case dict(), dict():
            return laid_over(below, above)
        case [{"name": _}, *_] | [{"slug": _}, *_], [{"name": _}, *_] | [{"slug": _}, *_]:
            return list(
                laid_over({name_of(each): each for each in below}, {name_of(each): each for each in above}).values()
            )
    return above


def name_of(element: Document) -> str:
    return element.get("slug") or element["name"]


@of_each_page
def test_each_block_of_a_page_has_somebody_who_looks_at_it(page: Path) -> None:
    for block in blocks(page):
        where = f"{page.relative_to(REPOSITORY)}:{block.line}"
        assert block.language in (*RUN, *READ_HERE, *READ_ELSEWHERE), f"{where}: nobody looks at '{block.language}'"
        if block.language == "json":
            json.loads(block.text)
        if found := OTHER_TEST.fullmatch(block.note):
            assert f"def {found['test']}(" in (REPOSITORY / found["file"]).read_text(), (
                f"{where}: there is no such test"
            )
        else:
            assert block.note in NOTES or block.language not in RUN, f"{where}: nobody knows '{block.note}'"
