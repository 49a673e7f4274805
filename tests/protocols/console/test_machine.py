from datetime import timedelta

import pytest

from core.instances import Power
from core.journal import Event
from core.ports import DriverCode, DriverError
from core.tags import Resource, ResourceKind
from core.usage import Usage
from protocols.console.house import Backstage
from protocols.console.house import House as Lent
from tests.fleetfixture import open_house
from tests.protocols.console.served import PATH, serve
from tests.protocols.console.test_machines import NASTY, spelled
from tests.tenants import move_in


@pytest.fixture
def path(ours):
    return f"machines/{spelled(ours.ids[0])}"


PAGES = (
    "",
    "/console",
    "/screenshot",
    "/screenshot.png",
    "/graphs",
    "/name",
    "/options",
    "/tags",
    "/groups",
    "/user-data",
    "/resize",
    "/reinstall",
    "/password",
    "/serial",
)
FORMS = (
    "/power",
    "/name",
    "/options",
    "/tags",
    "/groups",
    "/user-data",
    "/resize",
    "/reinstall",
    "/password",
    "/serial",
)


@pytest.mark.parametrize("rest", PAGES)
async def test_no_page_of_another_accounts_machine_is_there(stranger, path, rest):
    assert (await stranger.get(f"{path}{rest}")).status == 404


@pytest.mark.parametrize("rest", FORMS)
async def test_no_form_changes_another_accounts_machine(stranger, path, rest, ours):
    before = await ours.machine()
    fields = {
        "verb": "stop",
        "confirmed": "yes",
        "behaviour": "stop",
        "name": "x",
        "hostname": "x",
        "group": "1",
        "user_data": "x",
        "product": "plain",
        "image": "ubuntu-24",
        "key-0": "a",
        "value-0": "b",
    }
    assert (await stranger.post(f"{path}{rest}", fields)).status == 404
    assert await ours.machine() == before


@pytest.mark.parametrize("rest", PAGES)
async def test_every_page_of_ones_own_machine_is_there(console, path, rest):
    assert (await console.get(f"{path}{rest}")).status == 200


async def test_it_tells_how_to_log_in(console, path, ours):
    page = await console.get(path)
    assert page.text_of(".copyable code") == f"ssh ubuntu@{ours.address.address}"


async def test_without_an_address_of_its_own_one_logs_in_by_a_port_of_the_host(console, ours):
    machine = await ours.machine(1)
    page = await console.get(f"machines/{spelled(ours.ids[1])}")
    assert page.text_of(".copyable code") == f"ssh -p {machine.ssh_port} ubuntu@198.51.100.9"


async def test_only_what_can_be_done_now_has_a_button(console, path, ours):
    assert (await console.get(path)).texts(".powers button") == ["Reboot", "Stop", "Force off", "Terminate"]
    await ours.house.core.stop(ours.caller, ours.ids, is_forced=False)
    assert (await console.get(path)).texts(".powers button") == ["Force off", "Terminate"]
    await ours.stop()
    assert (await console.get(path)).texts(".powers button") == ["Start", "Terminate"]


async def test_it_tells_what_happened_and_why(console, path, ours):
    await ours.house.store.transact(
        lambda tx: tx.note(Event(ours.house.clock.now(), ours.ids[0], "stopped", "it crashed <b>"))
    )
    page = await console.get(path)
    assert "it crashed <b>" in page.visible
    assert "by EC2" in page.visible


async def test_why_it_stopped_is_told(console, path, ours):
    await ours.house.seen(Power.CRASHED, ours.ids)
    assert "stopped because The machine stopped without shutting down." in (await console.get(path)).visible


async def test_a_power_button_leads_back_to_the_machine(console, path):
    page = await console.post(f"{path}/power", {"verb": "stop"})
    assert page.leads_to == path


async def test_to_force_it_off_is_asked_first(console, path, ours):
    page = await console.post(f"{path}/power", {"verb": "force-stop"})
    assert "as if the power failed" in page.visible
    assert not (await ours.machine()).is_forced


async def test_what_cannot_be_done_now_is_told_on_its_page(console, path, ours):
    await ours.house.core.stop(ours.caller, ours.ids, is_forced=False)
    page = await console.post(f"{path}/power", {"verb": "reboot"})
    assert page.status == 422
    assert "stopping" in page.problems[0]


async def test_a_host_that_does_not_answer_is_told_of(house, ours, path):
    class Waiting:
        instance_id, failures, trouble = ours.ids[0], 3, "secret detail"

    nothing = lambda: ()  # noqa: E731
    lent = Lent(backstage=Backstage(lambda: [Waiting], nothing, nothing, dict, nothing, nothing, nothing))
    async with serve(house, lent=lent) as site:
        page = await (await site.signed_in(await house.person())).get(path)
    assert "Its host does not answer" in page.visible
    assert "secret" not in page.text


# --- console and screen


async def test_the_console_log_is_shown_as_plain_text(tmp_path):
    async def console_of(_):
        return b"\x1b[31mred\x1b[0m <script>alert(1)</script>\x1b]0;title\x07\r\nhalf\rwhole\x00\n\xff"

    async with open_house(tmp_path, console=console_of) as house, serve(house) as site:
        ours = await move_in(house, house.ours)
        page = await (await site.signed_in(await house.person())).get(f"machines/{spelled(ours.ids[0])}/console")
    assert page.all("pre.screen")[0].text_content() == "red <script>alert(1)</script>\nwhole\n\ufffd"


async def test_a_machine_without_a_screen_is_no_fault(tmp_path):
    async def no_screen(_):
        raise DriverError(DriverCode.UNSUPPORTED, "Simulated machines have no screen.")

    async with open_house(tmp_path, screen=no_screen) as house, serve(house) as site:
        ours = await move_in(house, house.ours)
        page = await (await site.signed_in(await house.person())).get(f"machines/{spelled(ours.ids[0])}/screenshot")
    assert page.status == 200
    assert "Simulated machines have no screen. Its console log" in page.visible


async def test_the_screen_is_a_picture(console, path):
    page = await console.get(f"{path}/screenshot")
    assert page.all(f"img[src='{PATH}{path}/screenshot.png']")


# --- graphs


class SomeSamples:
    """Two stretches of samples with a gap between them."""

    async def usage(self, instance_id, span, now):
        minutes = [*range(50, 40, -1), *range(20, 1, -1)]
        return [
            Usage(instance_id, now - timedelta(minutes=each), cpus=2.0, memory_mib=4096, received_bytes=5e6)
            for each in minutes
        ]


async def test_graphs_have_their_numbers_beside_them_and_gaps_in_them(tmp_path):
    async with open_house(tmp_path, samples=SomeSamples()) as house, serve(house) as site:
        ours = await move_in(house, house.ours)
        page = await (await site.signed_in(await house.person())).get(f"machines/{spelled(ours.ids[0])}/graphs")
    processors, _, disk, network = page.all("section.panel")
    assert "50 %" in processors.text_content()
    assert len(processors.cssselect("svg.graph path.line-1")) == 2
    assert "4.77 MiB/s" in network.text_content()
    assert "nothing is known yet" in disk.text_content()
    assert not disk.cssselect("table")


async def test_without_samples_the_page_says_when_there_will_be_some(console, path):
    assert "Nothing is known of this week yet" in (await console.get(f"{path}/graphs?span=week")).visible


# --- settings


async def test_a_machine_is_renamed_in_both_ways(console, path, ours):
    page = await console.done(f"{path}/name", {"name": "front <1>", "hostname": "front-1.example"})
    assert page.text_of("h1") == "front <1>"
    assert (await ours.machine()).hostname == "front-1.example"


async def test_a_wrong_host_name_is_told_at_its_field_and_kept(console, path):
    page = await console.post(f"{path}/name", {"name": "kept", "hostname": "no good"})
    assert page.status == 422
    assert "letters, digits and hyphens" in page.problem("hostname")
    assert (page.value("name"), page.value("hostname")) == ("kept", "no good")


async def test_options_are_set(console, path, ours):
    fields = {"is_protected": "yes", "keeps_disk": "yes", "behaviour": "terminate"}
    await console.done(f"{path}/options", fields)
    machine = await ours.machine()
    assert (machine.options.is_protected, machine.options.keeps_disk) == (True, True)
    assert machine.shutdown_behaviour.value == "terminate"
    page = await console.post(f"{path}/power", {"verb": "terminate", "confirmed": "yes"})
    assert "protected" in page.problems[0]


async def test_tags_are_set_all_at_once(console, path, ours):
    resource = Resource(ours.caller.account_id, ResourceKind.INSTANCE, ours.ids[0])
    await ours.house.core.tag(ours.caller, [resource], {"old": "1", "stays": "2"})
    fields = {"key-0": "stays", "value-0": "3", "key-1": "", "value-1": "", "key-2": "new", "value-2": ""}
    await console.done(f"{path}/tags", fields)
    fleet = await ours.house.core.fleet(ours.caller)
    assert dict(fleet.tags(ResourceKind.INSTANCE, ours.ids[0])) == {"stays": "3", "new": ""}


async def test_mistakes_in_tags_are_told_at_their_row(console, path):
    page = await console.post(f"{path}/tags", {"key-0": "a", "value-0": NASTY, "key-1": "a", "value-1": "x"})
    assert "twice" in page.problem("key-1")
    assert page.value("value-0") == NASTY
    page = await console.post(f"{path}/tags", {"key-0": "aws:x", "value-0": "1"})
    assert "reserved" in page.problem("key-0")


async def test_security_groups_are_changed(console, path, ours):
    await console.done(f"{path}/groups", {"group": [ours.group.id]})
    assert (await ours.machine()).group_ids == (ours.group.id,)


async def test_a_machine_is_never_without_a_group(console, path):
    page = await console.post(f"{path}/groups", {})
    assert page.problems == ["Tick at least one group."]


async def test_another_accounts_group_is_not_found(console, path, theirs, ours):
    before = (await ours.machine()).group_ids
    assert (await console.post(f"{path}/groups", {"group": [theirs.group.id]})).status == 404
    assert (await ours.machine()).group_ids == before


async def test_user_data_is_shown_and_changed_while_it_is_stopped(console, path, ours):
    assert (await console.get(f"{path}/user-data")).text_of("pre") == "data"
    page = await console.post(f"{path}/user-data", {"user_data": "#!/bin/sh"})
    assert page.status == 422
    assert "#!/bin/sh" in page.visible
    await ours.stop()
    await console.done(f"{path}/user-data", {"user_data": "#!/bin/sh\r\ntrue"})
    assert (await console.get(f"{path}/user-data")).value("user_data").strip() == "#!/bin/sh\ntrue"


async def test_the_type_is_changed_only_while_it_is_stopped(console, path, ours):
    page = await console.get(f"{path}/resize")
    assert "while it is stopped" in page.visible
    await ours.stop()
    page = await console.get(f"{path}/resize")
    assert "nvidia-titanxp" in page.visible
    assert "nvidia-1060" not in page.visible  # which is not in the machine's zone
    page = await console.done(f"{path}/resize", {"product": "nvidia-titanxp"})
    assert page.message == "The machine is nvidia-titanxp now; start it when you like."


async def test_without_a_choice_of_type_the_page_asks_for_one(console, path, ours):
    await ours.stop()
    page = await console.post(f"{path}/resize", {})
    assert page.problems == ["Choose one of the types."]


async def test_a_reinstallation_is_asked_first_and_done_then(console, path, ours):
    page = await console.post(f"{path}/reinstall", {"image": "debian-12"})
    assert "lost for good" in page.visible
    assert (await ours.machine()).generation == 0
    await console.done(f"{path}/reinstall", {"image": "debian-12", "confirmed": "yes"})
    assert (await ours.machine()).generation == 1


async def test_a_root_password_is_set_and_told_on_request(console, path, ours):
    assert "none" in (await console.get(f"{path}/password")).visible
    page = await console.done(f"{path}/password")
    password = await ours.house.core.machines.password(ours.caller, ours.ids[0])
    assert page.text_of(".copyable code") == password
    assert password not in (await console.get(path)).text
