"""What a customer set on machines through EC2, as ZeroSix tells it and is bound by it."""

from dataclasses import replace

from core.instances import Power
from core.service.addresses import Wish


async def the_only_machine(site, order):
    [machine] = (await site.ask("GET", f"orders/{order['order_id']}")).json()["instances"]
    return machine


async def test_a_machine_with_an_address_of_its_own_is_reached_there_by_sshs_port(site, house):
    order = await site.book("nvidia-1080ti")
    address = await house.core.addresses.allocate(house.caller(), Wish(zone_id=1))
    await house.core.addresses.associate(house.caller(), address.id, 1, may_move=True)
    assert (await the_only_machine(site, order))["machine"] == f"-p22 renter@{address.address}"
    [login] = (await site.ask("GET", f"credentials/{order['order_key']}")).json()["instances"]
    assert login == {"instance_id": 1, "ssh_hostname": f"renter@{address.address}", "ssh_port": "22"}


async def test_a_machine_that_lost_its_address_is_reached_by_its_hosts_port_again(site, house):
    order = await site.book("nvidia-1080ti")
    address = await house.core.addresses.allocate(house.caller(), Wish(zone_id=1))
    await house.core.addresses.associate(house.caller(), address.id, 1, may_move=True)
    await house.core.addresses.disassociate(house.caller(), address.id)
    assert (await the_only_machine(site, order))["machine"] == "-p20001 renter@127.0.0.1"


async def test_a_machine_of_another_type_tells_its_own_product_and_price(site, house):
    order = await site.book("nvidia-1080ti")
    await house.seen(Power.RUNNING)
    await house.core.stop(house.caller(), [1], is_forced=False)
    await house.seen(Power.STOPPED)
    other = await house.product("nvidia-titanxp")
    await house.core.machines.resize(house.caller(), 1, other.id)
    machine = await the_only_machine(site, order)
    assert (machine["product"]["id"], machine["hourly-price"]) == (other.id, "0.7")
    assert (machine["total_cost"], machine["rented_hours"]) == ("0.5", "1")


async def test_an_order_with_a_protected_machine_is_not_completed(site, house):
    order = await site.book("nvidia-1080ti", 2)
    await house.core.machines.set_options(house.caller(), 2, lambda options: replace(options, is_protected=True))
    answer = await site.ask("DELETE", f"orders/{order['order_id']}")
    assert answer.refusal == (403, "onefleet_machine_protected")
    told = (await site.ask("GET", f"orders/{order['order_id']}")).json()
    assert [machine["status"] for machine in told["instances"]] == ["wc-pending", "wc-pending"]
