"""Each of GigeNET's actions in both dialects: a recorded request, and the answer compared whole with a file that was
read by eye beside GigeNET's and EC2's documentation."""

from urllib.parse import parse_qsl

import pytest

from tests.protocols.ec2.gigenet_stage import ACTIONS, DIALECTS, RECORDED, go, recorded, set_stage
from tests.protocols.ec2.served import served, set_botocores_clock
from tests.protocols.ec2.test_golden import MASKED, RANDOM, canonical

_RANDOM = RANDOM | {"GetPasswordData": {"passwordData"}}


@pytest.fixture(params=DIALECTS)
async def spoken(request, house, monkeypatch):
    """Asks an endpoint of each dialect with the stage set: as the Go client does, or as boto3 does."""
    set_botocores_clock(monkeypatch, house)
    await set_stage(house)
    async with served(house, dialect=request.param) as ec2:

        async def ask(action, query):
            if request.param == "gigenet":
                return await go(ec2, action, query, host="cloud.test")
            return await ec2.ask(action, parse_qsl(query, keep_blank_values=True), host="cloud.test")

        yield request.param, ask


def test_there_is_a_recording_for_each_of_the_33_actions():
    assert len(set(ACTIONS)) == 33
    for dialect in DIALECTS:
        assert {file.stem for file in (RECORDED / dialect).glob("*.query")} == set(ACTIONS)


@pytest.mark.parametrize("action", ACTIONS)
async def test_an_answer_is_the_one_that_was_reviewed(spoken, golden, action):
    dialect, ask = spoken
    answer = await ask(action, recorded(action, dialect))
    assert answer.status == 200, answer.body
    document = canonical(answer.body, MASKED | _RANDOM.get(action, set()))
    golden.check(f"ec2/gigenet/{dialect}/{action}.xml", document)


# GigeNET books one machine where a request leaves the counts out; AWS refuses that.
_ONLY_ITS_OWN = {("RunInstances", "aws")}


@pytest.mark.parametrize("action", ACTIONS)
async def test_a_request_of_one_dialect_is_understood_in_the_other(spoken, action):
    dialect, ask = spoken
    other = next(each for each in DIALECTS if each != dialect)
    answer = await ask(action, recorded(action, other))
    assert answer.status == (400 if (action, dialect) in _ONLY_ITS_OWN else 200), answer.body
