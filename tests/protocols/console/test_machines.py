import asyncio
from urllib.parse import urlencode

import pytest

from core.administration import MachinePolicy
from core.instances import State
from core.tags import Resource, ResourceKind
from protocols import ids
from tests.clocks import eventually
from tests.protocols.console.served import PATH

NASTY = "<script>alert('x')</script>\""


def spelled(number: int) -> str:
    return ids.spell(ResourceKind.INSTANCE, number)


async def name_it(tenant, index: int, name: str, **more: str) -> None:
    resource = Resource(tenant.caller.account_id, ResourceKind.INSTANCE, tenant.ids[index])
    await tenant.house.core.tag(tenant.caller, [resource], {"Name": name, **more})


def names(page) -> list[str]:
    return page.texts("tbody th a")


async def test_newcomers_are_told_how_to_get_a_machine(console):
    page = await console.get("machines")
    assert "You have no machines yet" in page.visible
    assert page.all(f".empty a[href='{PATH}order']")


async def test_a_machine_is_listed_with_all_that_matters(console, ours):
    await name_it(ours, 0, "web-1")
    page = await console.get("machines")
    [row] = [each for each in page.texts("tbody tr") if "web-1" in each]
    machine = await ours.machine()
    for text in ("running", "plain", "eu-1b", ours.address.address, "0.01 USD", "EC2", spelled(machine.id)):
        assert text in row


async def test_a_machine_without_a_name_is_called_by_its_host_name(console, ours):
    assert set(names(await console.get("machines"))) == {f"m{number}" for number in ours.ids}


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("WEB", 1),
        ("tag:role", 1),
        ("tag:role=front", 1),
        ("tag:role=back", 0),
        ('tag:Name="web one"', 1),
        ("web front", 1),
        ("web nothing", 0),
        ("203.0.113", 1),
        ("m1", 1),
    ],
)
async def test_machines_are_found_by_words_and_tags(console, ours, text, count):
    await name_it(ours, 0, "web one", role="front")
    page = await console.get(f"machines?{urlencode({'text': text})}")
    assert len(names(page)) == count


@pytest.mark.parametrize(
    ("query", "count"),
    [("state=running", 2), ("state=stopped", 0), ("zone=eu-1b", 2), ("zone=x", 0), ("type=plain", 2), ("type=y", 0)],
)
async def test_machines_are_found_by_state_zone_and_type(console, ours, query, count):
    assert len(names(await console.get(f"machines?{query}"))) == count


async def test_what_is_not_found_is_told_from_what_is_not_there(console, ours):
    page = await console.get("machines?text=nothing")
    assert "No machine is like that" in page.visible
    assert page.value("text") == "nothing"


async def test_machines_are_sorted_as_asked(console, ours):
    await name_it(ours, 0, "b")
    await name_it(ours, 1, "A")
    assert names(await console.get("machines")) == ["A", "b"]
    assert names(await console.get("machines?sort=oldest")) == ["b", "A"]
    assert names(await console.get("machines?sort=name")) == ["A", "b"]


async def test_nobody_sees_another_accounts_machines(stranger, ours):
    assert names(await stranger.get("machines")) == []


async def test_names_and_tags_are_shown_as_text(console, ours):
    await name_it(ours, 0, NASTY, evil=NASTY)
    for path in ("machines", f"machines/{spelled(ours.ids[0])}", f"machines/{spelled(ours.ids[0])}/tags"):
        page = await console.get(path)
        assert "<script>alert" not in page.text
        assert NASTY in page.document.text_content() or page.all("input[value*='script']")


async def test_only_the_part_that_lists_machines_is_sent_to_an_open_page(console, ours):
    page = await console.get("machines?part=table&state=running")
    assert len(names(page)) == 2
    assert not page.all("header")


# --- what is done to many at once


async def test_many_machines_are_stopped_at_once(console, ours):
    page = await console.done(
        "machines/power?state=running", {"verb": "stop", "machine": [spelled(each) for each in ours.ids]}
    )
    assert page.message == "2 machines are stopping."
    assert page.value("state") == "running"
    assert await ours.states() == [State.STOPPING] * 2


async def test_before_machines_are_terminated_each_is_named(console, ours):
    await name_it(ours, 0, "web-1")
    fields = {"verb": "terminate", "machine": [spelled(each) for each in ours.ids]}
    page = await console.post("machines/power", fields)
    assert page.status == 200
    assert "web-1" in page.visible
    assert "disk is lost" in page.visible
    assert await ours.states() == [State.RUNNING] * 2
    sent = {
        each.get("name"): each.get("value") for each in page.all("main form input") if each.get("name") != "machine"
    }
    assert sent["confirmed"] == "yes"
    await console.done("machines/power", {**fields, "confirmed": "yes"})
    assert await ours.states() == [State.SHUTTING_DOWN] * 2


async def test_with_nothing_ticked_the_page_says_what_to_tick(console, ours):
    page = await console.post("machines/power", {"verb": "stop"})
    assert (page.status, page.problems) == (422, ["Tick the machines first."])


async def test_what_cannot_be_done_names_the_machine_and_keeps_the_ticks(console, ours):
    await name_it(ours, 0, "web-1")
    await ours.house.core.stop(ours.caller, ours.ids[:1], is_forced=False)
    page = await console.post("machines/power", {"verb": "reboot", "machine": [spelled(each) for each in ours.ids]})
    assert page.status == 422
    assert "web-1" in page.problems[0]
    assert len(page.all("tbody input[checked]")) == 2


@pytest.mark.parametrize("verb", ["start", "stop", "force-stop", "reboot", "terminate"])
async def test_nothing_is_done_to_another_accounts_machines(stranger, ours, verb):
    fields = {"verb": verb, "machine": spelled(ours.ids[0]), "confirmed": "yes"}
    assert (await stranger.post("machines/power", fields)).status == 404
    assert (await stranger.post(f"machines/{spelled(ours.ids[0])}/power", fields)).status == 404
    assert await ours.states() == [State.RUNNING] * 2


@pytest.mark.parametrize("wrong", ["x", "i-", "i-zz", "i-" + "f" * 17, "i-00000000000000000", "ami-00000000000000001"])
async def test_what_is_no_machine_is_not_found(console, ours, wrong):
    assert (await console.get(f"machines/{wrong}")).status == 404


# --- live


async def read_events(stream, count: int) -> str:
    found = ""
    async with asyncio.timeout(10):
        while found.count("event:") < count:
            found += (await stream.content.readany()).decode()
    return found


async def test_an_open_page_is_told_when_a_machine_changes(console, ours):
    async with console.open("machines/stream") as stream:
        assert stream.content_type == "text/event-stream"
        await stream.content.readline()
        await ours.stop()
        assert "event: changed" in await read_events(stream, 1)


async def test_a_page_is_told_what_changed_before_its_stream_was_open(console, ours):
    [place] = (await console.get("machines")).all("[sse-connect]")
    await ours.stop()
    async with console.open(place.get("sse-connect").removeprefix(PATH)) as stream:
        assert "event: changed" in await read_events(stream, 1)


async def test_an_open_page_is_not_told_what_others_do(console, ours, theirs):
    async with console.open("machines/stream") as stream:
        await stream.content.readline()
        await theirs.stop()
        await ours.stop()
        assert (await read_events(stream, 1)).count("event:") == 1


async def test_a_stream_ends_with_the_sign_in(console, ours, site):
    async with console.open("machines/stream") as stream:
        await stream.content.readline()
        await console.post("sign-out")
        async with asyncio.timeout(10):
            rest = await stream.content.read()
        assert b"event: changed" in rest  # the page asks once more, and is led to the sign-in
    await eventually(lambda: site.lent.streams.taken == 0)


async def test_a_stream_ends_when_the_account_is_suspended(console, ours, house):
    async with console.open("machines/stream") as stream:
        await stream.content.readline()
        await house.administration.suspend(ours.caller.account_id, MachinePolicy.LEAVE)
        async with asyncio.timeout(10):
            await stream.content.read()


async def test_a_stream_ends_when_the_gateway_stops(console, site):
    async with console.open("machines/stream") as stream:
        await stream.content.readline()
        site.lent.stopping.set()
        async with asyncio.timeout(10):
            await stream.content.read()


async def test_a_browser_that_leaves_frees_its_stream(console, site):
    async with console.open("machines/stream") as stream:
        await stream.content.readline()
        assert site.lent.streams.taken == 1
        stream.close()
    await eventually(lambda: site.lent.streams.taken == 0)


async def test_one_sign_in_has_so_many_streams_and_no_more(console, stranger, site):
    streams = [await console.open("machines/stream") for _ in range(20)]
    assert [stream.status for stream in streams] == [200] * 20
    assert (await console.get("machines/stream")).status == 429
    async with stranger.open("machines/stream") as stream:
        assert stream.status == 200
    for stream in streams:
        stream.close()


async def test_streams_are_not_measured(console, site):
    async with console.open("machines/stream") as stream:
        await stream.content.readline()
        site.lent.stopping.set()
        await stream.content.read()
    assert not [exchange for exchange, _ in site.records if exchange.action == "GET machines/stream"]
