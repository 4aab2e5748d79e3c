"""The object tree and device commands over QMP, with the errors that QEMU 7.2 gives."""

from __future__ import annotations

import datetime
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import varan
from varan.api.values import RngBuiltinObjectOptions
from varan.errors import GenericError, QmpError, VaranError
from varan.machine.spec import BlockdevSpec, BootSpec, ChardevSpec, DeviceSpec, MachineSpec, ObjectSpec, Topology


@pytest.fixture
async def vm() -> AsyncIterator[varan.Machine]:
    spec = MachineSpec(
        memory=16 << 20,
        boot=BootSpec(demo=True),
        chardevs=(ChardevSpec("c", "null"),),
        devices=(DeviceSpec("isa-serial", "ser", settings={"chardev": "c"}), DeviceSpec("isa-debugcon")),
    )
    async with varan.Machine(spec=spec) as machine:
        yield machine


async def answer(vm: varan.Machine, command: str, **arguments: Any) -> Any:
    """What the command returns, or its error as (class, text)."""
    try:
        return await vm.qmp.execute(command, {name.replace("_", "-"): value for name, value in arguments.items()})
    except QmpError as error:
        return error.lasting_class, str(error)


async def test_tree_has_its_roots(vm: varan.Machine) -> None:
    listed = {entry["name"]: entry["type"] for entry in await answer(vm, "qom-list", path="/")}
    assert listed.keys() >= {"type", "machine", "objects", "chardevs"}
    below = {entry["name"]: entry["type"] for entry in await answer(vm, "qom-list", path="/machine")}
    assert below["peripheral"] == below["peripheral-anon"] == below["unattached"] == "child<container>"


async def test_machine_shows_what_it_was_made_of(vm: varan.Machine) -> None:
    shown = {name: await answer(vm, "qom-get", path="/machine", property=name) for name in ("type", "memory", "accel")}
    assert shown == {"type": "pc-i440fx-7.0-machine", "memory": {"size": 16 << 20}, "accel": "unicorn"}
    smp = await answer(vm, "qom-get", path="/machine", property="smp")
    assert smp == {"cpus": 1, "sockets": 1, "dies": 1, "clusters": 1, "cores": 1, "threads": 1, "maxcpus": 1}


async def test_every_property_of_the_tree_can_be_read(vm: varan.Machine) -> None:
    waiting, seen = ["/"], 0
    while waiting:
        path = waiting.pop()
        for entry in await vm.qmp.qom_list(path):
            value = await vm.qmp.qom_get(path, entry.name)
            if entry.type.startswith("child<"):
                waiting.append(value)
            seen += 1
    assert seen > 100


async def test_cpus_are_where_query_cpus_fast_says(vm: varan.Machine) -> None:
    (cpu,) = await vm.qmp.query_cpus_fast()
    assert cpu.qom_path == "/machine/unattached/device[0]"
    assert await vm.qmp.qom_get(cpu.qom_path, "type") == "max-x86_64-cpu"
    state = await vm.cpus[0].get_state()
    assert await vm.qmp.qom_get(cpu.qom_path, "pc") == state.cs.base + state.rip


async def test_cpus_have_their_place_and_their_own_interrupt_controller() -> None:
    spec = MachineSpec(
        memory=16 << 20, cpus=4, topology=Topology(sockets=2, cores=1, threads=2), boot=BootSpec(demo=True)
    )
    async with varan.Machine(spec=spec) as machine:
        paths = [cpu.qom_path for cpu in await machine.qmp.query_cpus_fast()]
        seen = [
            [await machine.qmp.qom_get(path, name) for name in ("socket-id", "core-id", "thread-id", "apic-id")]
            for path in paths
        ]
        assert seen == [[0, 0, 0, 0], [0, 0, 1, 1], [1, 0, 0, 2], [1, 0, 1, 3]]
        assert await machine.qmp.qom_get(f"{paths[2]}/lapic", "id") == 2
        assert await machine.qmp.qom_get(f"{paths[0]}/lapic", "type") == "apic"


async def test_clock_shows_the_time(vm: varan.Machine) -> None:
    found = await vm.qmp.qom_list_types(implements="mc146818rtc")
    assert [one.name for one in found] == ["mc146818rtc"]
    date = await vm.qmp.qom_get("/machine", "rtc-time")
    shown = datetime.datetime(
        *(date["tm_year"] + 1900, date["tm_mon"] + 1, date["tm_mday"]),
        *(date["tm_hour"], date["tm_min"], date["tm_sec"]),
        tzinfo=datetime.UTC,
    )
    assert abs(shown - datetime.datetime.now(datetime.UTC)) < datetime.timedelta(minutes=1)


async def test_interrupt_controller_shows_its_registers(vm: varan.Machine) -> None:
    pics = [
        f"/machine/unattached/{entry.name}"
        for entry in await vm.qmp.qom_list("/machine/unattached")
        if entry.type == "child<isa-i8259>"
    ]
    ports = [await vm.qmp.qom_get(path, "iobase") for path in pics]
    assert ports == [0x20, 0xA0]


async def test_chardevs_are_in_the_tree(vm: varan.Machine) -> None:
    assert await vm.qmp.qom_get("/chardevs/c", "type") == "chardev-null"
    assert await vm.qmp.qom_get("/chardevs/c", "frontend-open") is True


async def test_device_shows_its_settings_as_they_are_in_force(vm: varan.Machine) -> None:
    values = {name: await answer(vm, "qom-get", path="ser", property=name) for name in ("iobase", "irq", "chardev")}
    assert values == {"iobase": 0x3F8, "irq": 4, "chardev": "c"}
    bus = await answer(vm, "qom-get", path="/machine/peripheral/ser", property="parent_bus")
    assert (await answer(vm, "qom-get", path=bus, property="type")) == "ISA"
    assert await answer(vm, "qom-get", path="/machine/peripheral-anon/device[0]", property="type") == "isa-debugcon"


SER = "/machine/peripheral/ser"
ERRORS: list[tuple[str, dict[str, Any], str, str]] = [
    ("qom-list", {"path": "/nosuch"}, "DeviceNotFound", "Device '/nosuch' not found"),
    ("qom-list", {"path": ""}, "GenericError", "Path '' is ambiguous"),
    ("qom-get", {"path": SER, "property": "x"}, "GenericError", "Property 'isa-serial.x' not found"),
    ("qom-set", {"path": SER, "property": "x", "value": 1}, "GenericError", "Property 'isa-serial.x' not found"),
    (
        *("qom-set", {"path": SER, "property": "iobase", "value": 3}, "GenericError"),
        "Attempt to set property 'iobase' on device 'ser' (type 'isa-serial') after it was realized",
    ),
    (
        *("qom-set", {"path": SER, "property": "type", "value": "x"}, "GenericError"),
        "Property 'isa-serial.type' is not writable",
    ),
    ("qom-list-properties", {"typename": "x"}, "DeviceNotFound", "Class 'x' not found"),
    ("device-list-properties", {"typename": "x"}, "DeviceNotFound", "Device 'x' not found"),
    (
        *("device-list-properties", {"typename": "isa-device"}, "GenericError"),
        "Parameter 'typename' expects a non-abstract device type",
    ),
    ("device_add", {}, "GenericError", "Parameter 'driver' is missing"),
    ("device_add", {"driver": "x"}, "GenericError", "'x' is not a valid device model name"),
    ("device_add", {"driver": "secret"}, "GenericError", "'secret' is not a valid device model name"),
    ("device_add", {"driver": "hpet"}, "GenericError", "Parameter 'driver' expects a pluggable device type"),
    ("device_add", {"driver": "isa-device"}, "GenericError", "Parameter 'driver' expects a non-abstract device type"),
    ("device_add", {"driver": "isa-serial", "id": "ser"}, "GenericError", "Bus 'isa.0' does not support hotplugging"),
    ("device_add", {"driver": "isa-serial", "bus": "x"}, "GenericError", "Bus 'x' not found"),
    ("device_del", {"id": "x"}, "DeviceNotFound", "Device 'x' not found"),
    ("device_del", {"id": "/machine"}, "GenericError", "/machine is not a hotpluggable device"),
    ("device_del", {"id": "ser"}, "GenericError", "Bus 'isa.0' does not support hotplugging"),
    (
        *("object-add", {"qom-type": "x", "id": "a"}, "GenericError"),
        "Parameter 'qom-type' does not accept value 'x'",
    ),
    ("object-add", {"qom-type": "secret"}, "GenericError", "Parameter 'id' is missing"),
    ("object-add", {"qom-type": "rng-builtin", "id": "1"}, "GenericError", "Parameter 'id' expects an identifier"),
    (
        *("object-add", {"qom-type": "secret", "id": "a"}, "GenericError"),
        "Either 'file' or 'data' must be provided",
    ),
    (
        *("object-add", {"qom-type": "rng-random", "id": "a", "filename": "/x"}, "GenericError"),
        "Could not open '/x': No such file or directory",
    ),
    ("object-del", {"id": "x"}, "GenericError", "object 'x' not found"),
]


@pytest.mark.parametrize(("command", "arguments", "kind", "text"), ERRORS)
async def test_error(vm: varan.Machine, command: str, arguments: dict[str, Any], kind: str, text: str) -> None:
    assert await answer(vm, command, **arguments) == (kind, text)


async def test_types_come_with_parent_and_abstractness(vm: varan.Machine) -> None:
    concrete = await answer(vm, "qom-list-types", implements="isa-device")
    assert {"name": "isa-serial", "parent": "isa-device"} in concrete
    everything = await answer(vm, "qom-list-types", implements="isa-device", abstract=True)
    assert {"name": "isa-device", "parent": "device", "abstract": True} in everything
    creatable = await answer(vm, "qom-list-types", implements="user-creatable")
    assert {"name": "secret", "parent": "object"} in creatable


async def test_properties_of_a_device_type_have_defaults_and_leave_out_what_all_devices_have(
    vm: varan.Machine,
) -> None:
    listed = {one["name"]: one for one in await answer(vm, "device-list-properties", typename="isa-debugcon")}
    assert listed["iobase"]["default-value"] == 0xE9
    assert "realized" not in listed
    everything = await answer(vm, "qom-list-properties", typename="isa-debugcon")
    assert {"name": "realized", "type": "bool"} in everything


async def test_objects_come_and_go(vm: varan.Machine, tmp_path: Path) -> None:
    (tmp_path / "password").write_bytes(b"open sesame")
    await vm.qmp.execute("object-add", {"qom-type": "secret", "id": "s", "file": str(tmp_path / "password")})
    await vm.qmp.execute("object-add", {"qom-type": "rng-random", "id": "r"})
    assert await answer(vm, "qom-get", path="/objects/s", property="loaded") is True
    assert await answer(vm, "qom-get", path="r", property="filename") == "/dev/urandom"
    again = await answer(vm, "object-add", qom_type="rng-builtin", id="r")
    assert again == ("GenericError", "attempt to add duplicate property 'r' to object (type 'container')")
    await vm.qmp.execute("object-del", {"id": "s"})
    assert (await answer(vm, "qom-list", path="/objects/s"))[0] == "DeviceNotFound"


async def test_secret_that_cannot_be_read_is_refused_and_gone(vm: varan.Machine) -> None:
    refused = await answer(vm, "object-add", qom_type="secret", id="s", file="/nosuch")
    assert refused == ("GenericError", "/nosuch: secret 's': No such file or directory")
    assert (await answer(vm, "object-add", qom_type="secret", id="s", data="x")) == {}


async def test_typed_methods_take_whole_arguments(vm: varan.Machine) -> None:
    await vm.qmp.object_add(RngBuiltinObjectOptions(id="r"))
    assert await vm.qmp.qom_get("r", "type") == "rng-builtin"
    with pytest.raises(GenericError, match="'x' is not a valid device model name"):
        await vm.qmp.device_add({"driver": "x"})


async def test_cpus_show_what_cpuid_tells_their_guest() -> None:
    spec = MachineSpec(memory=16 << 20, boot=BootSpec(demo=True), cpu_model="Haswell,-sse4.2")
    async with varan.Machine(spec=spec) as machine:
        cpu = (await machine.qmp.query_cpus_fast())[0].qom_path
        assert await machine.qmp.qom_get(cpu, "type") == "Haswell-x86_64-cpu"
        assert await machine.qmp.qom_get(cpu, "vendor") == "GenuineIntel"
        assert await machine.qmp.qom_get(cpu, "sse4.1") is True
        assert await machine.qmp.qom_get(cpu, "sse4.2") is False


async def test_cpu_models_are_the_accelerators(vm: varan.Machine) -> None:
    definitions = {one.name: one for one in await vm.qmp.query_cpu_definitions()}
    assert definitions["Haswell"].typename == "Haswell-x86_64-cpu"
    assert "avx2" in list(definitions["Haswell"].unavailable_features or ())
    assert definitions["max"].migration_safe is False
    assert definitions["qemu64"].migration_safe is True


async def test_cpu_model_is_spelled_out_with_chosen_features(vm: varan.Machine) -> None:
    model = {"name": "qemu64", "props": {"cx16": False}}
    expanded = await answer(vm, "query-cpu-model-expansion", type="full", model=model)
    props = expanded["model"]["props"]
    assert (props["cx16"], props["sse2"], props["vendor"]) == (False, True, "AuthenticAMD")


@pytest.mark.parametrize(
    ("model", "text"),
    [
        ({"name": "x"}, "CPU model 'x' not found"),
        ({"name": "qemu64", "props": {"x": True}}, "Property 'qemu64-x86_64-cpu.x' not found"),
        ({"name": "qemu64", "props": {"avx": 3}}, "Invalid parameter type for 'avx', expected: boolean"),
    ],
)
async def test_cpu_model_that_cannot_be_expanded(vm: varan.Machine, model: dict[str, Any], text: str) -> None:
    assert await answer(vm, "query-cpu-model-expansion", type="static", model=model) == ("GenericError", text)


async def test_throttle_group_has_its_limits_and_takes_others(vm: varan.Machine) -> None:
    limits = {"iops-total": 5, "iops-total-max": 50, "iops-total-max-length": 2}
    await vm.qmp.execute("object-add", {"qom-type": "throttle-group", "id": "t", "limits": limits})
    shown = await vm.qmp.qom_get("t", "limits")
    assert {name: value for name, value in shown.items() if value not in (0, 1)} == limits
    await vm.qmp.qom_set("t", "limits", {"bps-total": 1000})
    assert (await vm.qmp.qom_get("t", "limits"))["bps-total"] == 1000
    await vm.qmp.human_monitor_command("object_add throttle-group,id=u,limits.bps-read=7,x-bps-write=8")
    shown = await vm.qmp.qom_get("u", "limits")
    assert (shown["bps-read"], shown["bps-write"]) == (7, 8)


@pytest.mark.parametrize("limits", [{"iops-total": -5}, {"iops-total": 10**15 + 1}, {"bps-total": 1, "bps-read": 1}])
async def test_limits_that_cannot_be_leave_no_group(vm: varan.Machine, limits: dict[str, int]) -> None:
    refused = await answer(vm, "object-add", qom_type="throttle-group", id="t", limits=limits)
    assert refused[0] == "GenericError"
    assert (await answer(vm, "object-del", id="t")) == ("GenericError", "object 't' not found")


async def test_what_asked_for_a_device_that_cannot_be_is_named() -> None:
    spec = MachineSpec(memory=16 << 20, devices=(DeviceSpec("nosuch", origin="-device nosuch"),))
    with pytest.raises(VaranError) as refused:
        await varan.Machine(spec=spec).open()
    assert str(refused.value) == "-device nosuch: 'nosuch' is not a valid device model name"


async def test_disks_go_at_the_rate_of_a_throttle_group_which_then_stays(tmp_path: Path) -> None:
    (tmp_path / "disk").write_bytes(bytes(1 << 20))
    limits = {"limits.bps-total": "1000000"}
    spec = MachineSpec(
        memory=16 << 20,
        objects=(ObjectSpec("throttle-group", "slow", limits), ObjectSpec("throttle-group", "idle", limits)),
        blockdevs=(
            BlockdevSpec(
                {
                    "driver": "throttle",
                    "node-name": "d",
                    "throttle-group": "slow",
                    "file": {"driver": "file", "filename": str(tmp_path / "disk")},
                }
            ),
        ),
    )
    async with varan.Machine(spec=spec) as machine:
        assert await answer(machine, "object-del", id="idle") == {}
        refused = await answer(machine, "object-del", id="slow")
        assert refused == ("GenericError", "object 'slow' is in use, can not be deleted")


async def test_a_bus_links_to_its_devices_while_they_are_there(vm: varan.Machine) -> None:
    async def shown() -> dict[str, str]:
        listed = await vm.qmp.qom_list("ser-bus.0")
        return {entry.name: entry.type for entry in listed if entry.name.startswith("child[")}

    await vm.qmp.execute("device_add", {"driver": "virtio-serial-pci", "id": "ser-bus"})
    for id in ("first", "second"):
        await vm.qmp.execute("device_add", {"driver": "virtserialport", "id": id, "name": id})
    assert await shown() == {"child[0]": "link<virtserialport>", "child[1]": "link<virtserialport>"}
    assert await answer(vm, "qom-get", path="ser-bus.0", property="child[1]") == "/machine/peripheral/second"
    assert await answer(vm, "qom-get", path="ser-bus.0/child[0]", property="name") == "first"
    refusal = ("GenericError", "Property 'virtio-serial-bus.child[0]' is not writable")
    assert await answer(vm, "qom-set", path="ser-bus.0", property="child[0]", value="/machine") == refusal
    await vm.qmp.execute("device_del", {"id": "first"})
    assert await shown() == {"child[1]": "link<virtserialport>"}
