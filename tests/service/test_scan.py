# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a scan finds, on a sysfs built as the kernel builds it: classes are links into one tree of devices."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest

from tapeds.config.models import VirtualDriveConfig
from tapeds.service.scan import DeviceNode, scan

DRIVE = "1"
CHANGER = "8"
DISK = "0"


def vpd_80(serial: bytes) -> bytes:
    """VPD page 80h as a drive sends it: device type, page code, length, unit serial number."""
    return b"\x01\x80" + len(serial).to_bytes(2, "big") + serial


@dataclass
class Machine:
    """A sysfs and a /dev in a directory."""

    root: Path
    sysfs: Path = field(init=False)
    dev: Path = field(init=False)

    def __post_init__(self) -> None:
        self.sysfs, self.dev = self.root / "sys", self.root / "dev"
        self.sysfs.mkdir()
        self.dev.mkdir()

    def device(
        self,
        address: str,
        *,
        kind: str | None = DRIVE,
        vendor: str = "ACME    ",
        model: str = "ULTRIUM-HH9     ",
        rev: str = "A1B2",
        page: bytes | None = vpd_80(b"0123456789"),
        **nodes: tuple[str, ...],
    ) -> Path:
        """A SCSI device at ``address`` with nodes by class: ``scsi_generic=("sg0",)``."""
        place = self.sysfs / "devices/pci0000:00/host0/target0:0:0" / address
        place.mkdir(parents=True)
        for name, text in (("type", kind), ("vendor", vendor), ("model", model), ("rev", rev)):
            if text is not None:
                (place / name).write_text(text + "\n")
        if page is not None:
            (place / "vpd_pg80").write_bytes(page)
        for class_name, entries in nodes.items():
            for entry in entries:
                node = place / class_name / entry
                node.mkdir(parents=True)
                (node / "device").symlink_to("../..")
                (self.sysfs / "class" / class_name).mkdir(parents=True, exist_ok=True)
                (self.sysfs / "class" / class_name / entry).symlink_to(node)
                (self.dev / entry).touch()
        return place

    def by_id(self, name: str, node: str) -> str:
        """A link as udev makes it."""
        place = self.dev / "tape/by-id"
        place.mkdir(parents=True, exist_ok=True)
        (place / name).symlink_to(f"../../{node}")
        return str(place / name)

    def scan(self, **configured: VirtualDriveConfig) -> list[DeviceNode]:
        return scan(self.sysfs, configured, dev=self.dev)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


TAPE_NODES = ("st0", "st0l", "st0m", "st0a", "nst0", "nst0l", "nst0m", "nst0a")


def test_a_machine_without_tape_drives_has_nothing(machine: Machine) -> None:
    assert machine.scan() == []


def test_a_place_that_is_no_sysfs_has_nothing(tmp_path: Path) -> None:
    assert scan(tmp_path / "nowhere", {}, dev=tmp_path) == []


def test_a_drive_is_told_with_all_that_sysfs_says(machine: Machine) -> None:
    machine.device("0:0:0:0", scsi_generic=("sg3",), scsi_tape=TAPE_NODES)
    link = machine.by_id("scsi-0123456789-sg", "sg3")
    machine.by_id("scsi-0123456789-nst", "nst0")
    assert machine.scan() == [
        DeviceNode(
            kind="drive",
            type="scsi",
            device=f"{machine.dev}/sg3",
            tape_device=f"{machine.dev}/nst0",
            by_id=link,
            vendor="ACME",
            model="ULTRIUM-HH9",
            revision="A1B2",
            serial="0123456789",
        )
    ]


def test_a_changer_is_told_as_such(machine: Machine) -> None:
    machine.device("0:0:0:1", kind=CHANGER, scsi_generic=("sg4",), scsi_changer=("sch0",))
    (node,) = machine.scan()
    assert (node.kind, node.device, node.tape_device) == ("changer", f"{machine.dev}/sg4", "")


def test_disks_are_left_out(machine: Machine) -> None:
    machine.device("0:0:0:0", kind=DISK, scsi_generic=("sg0",))
    assert machine.scan() == []


def test_devices_come_in_natural_order_and_once_each(machine: Machine) -> None:
    for number in (10, 9, 0):
        machine.device(
            f"{number}:0:0:0",
            page=vpd_80(b"S%d" % number),
            scsi_generic=(f"sg{number}",),
            scsi_tape=(f"nst{number}",),
        )
    assert [node.device for node in machine.scan()] == [f"{machine.dev}/sg{number}" for number in (0, 9, 10)]


# --- serial numbers ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("page", "serial"),
    [
        (vpd_80(b"0123456789"), "0123456789"),
        (vpd_80(b"  HU1234  "), "HU1234"),
        (vpd_80(b"AB\x00\x00"), "AB"),
        (vpd_80(b"ABCD") + b"padding", "ABCD"),
        (b"\x01\x80\x00\x20SHORT", "SHORT"),
        (vpd_80(b""), ""),
        (b"\x01\x83\x00\x04WXYZ", ""),
        (b"\x01\x80", ""),
        (b"", ""),
        (None, ""),
    ],
)
def test_the_serial_number_comes_from_page_80h(machine: Machine, page: bytes | None, serial: str) -> None:
    machine.device("0:0:0:0", page=page, scsi_generic=("sg0",))
    assert [node.serial for node in machine.scan()] == [serial]


def test_of_two_devices_with_one_serial_number_the_second_names_the_first(machine: Machine) -> None:
    machine.device("0:0:0:0", scsi_generic=("sg0",))
    machine.device("1:0:0:0", scsi_generic=("sg1",))
    machine.device("2:0:0:0", page=vpd_80(b"OTHER"), scsi_generic=("sg2",))
    assert [node.duplicate_of for node in machine.scan()] == ["", f"{machine.dev}/sg0", ""]


def test_a_serial_number_counts_within_vendor_model_and_kind(machine: Machine) -> None:
    machine.device("0:0:0:0", scsi_generic=("sg0",))
    machine.device("1:0:0:0", vendor="OTHER", scsi_generic=("sg1",))
    machine.device("2:0:0:0", model="ULTRIUM-TD5", scsi_generic=("sg2",))
    machine.device("3:0:0:0", kind=CHANGER, scsi_generic=("sg3",))
    assert [node.duplicate_of for node in machine.scan()] == [""] * 4


def test_devices_without_a_serial_number_are_not_the_same(machine: Machine) -> None:
    machine.device("0:0:0:0", page=None, scsi_generic=("sg0",))
    machine.device("1:0:0:0", page=None, scsi_generic=("sg1",))
    assert [node.duplicate_of for node in machine.scan()] == ["", ""]


# --- names that stay -----------------------------------------------------------------------------


def test_the_link_made_of_the_unit_serial_number_is_preferred(machine: Machine) -> None:
    machine.device("0:0:0:0", scsi_generic=("sg0",))
    machine.by_id("scsi-001-shared-sg", "sg0")
    link = machine.by_id("scsi-0123456789-sg", "sg0")
    assert [node.by_id for node in machine.scan()] == [link]


def test_any_link_is_better_than_none(machine: Machine) -> None:
    machine.device("0:0:0:0", page=None, scsi_generic=("sg0",))
    link = machine.by_id("scsi-001-shared-sg", "sg0")
    machine.by_id("scsi-999-sg", "sg1")
    (machine.dev / "tape/by-id/README").write_text("no link")
    assert [node.by_id for node in machine.scan()] == [link]


# --- half present --------------------------------------------------------------------------------


def test_a_drive_without_an_sg_node_is_told_without_a_device(machine: Machine) -> None:
    machine.device("0:0:0:0", scsi_tape=TAPE_NODES)
    (node,) = machine.scan()
    assert (node.kind, node.device, node.tape_device, node.by_id) == ("drive", "", f"{machine.dev}/nst0", "")


def test_a_drive_without_the_kernels_tape_driver_is_told(machine: Machine) -> None:
    machine.device("0:0:0:0", scsi_generic=("sg0",))
    (node,) = machine.scan()
    assert (node.device, node.tape_device) == (f"{machine.dev}/sg0", "")


def test_a_device_whose_type_is_gone_is_left_out(machine: Machine) -> None:
    machine.device("0:0:0:0", kind=None, scsi_generic=("sg0",))
    machine.device("1:0:0:0", scsi_generic=("sg1",))
    assert [node.device for node in machine.scan()] == [f"{machine.dev}/sg1"]


def test_a_class_link_that_leads_nowhere_is_left_out(machine: Machine) -> None:
    machine.device("1:0:0:0", scsi_generic=("sg1",))
    (machine.sysfs / "class/scsi_generic/sg0").symlink_to("../../devices/gone/scsi_generic/sg0")
    assert [node.device for node in machine.scan()] == [f"{machine.dev}/sg1"]


def test_attributes_that_cannot_be_read_are_unknown(machine: Machine) -> None:
    place = machine.device("0:0:0:0", scsi_generic=("sg0",))
    for name in ("vendor", "model", "rev", "vpd_pg80"):
        (place / name).unlink()
        (place / name).mkdir()
    (node,) = machine.scan()
    assert (node.vendor, node.model, node.revision, node.serial) == ("", "", "", "")


def test_texts_with_strange_bytes_are_made_printable(machine: Machine) -> None:
    place = machine.device("0:0:0:0", page=vpd_80(b"A\xffB\x1b\x00"), scsi_generic=("sg0",))
    (place / "vendor").write_bytes(b"AC\x07ME\xe9 \n")
    (node,) = machine.scan()
    assert (node.vendor, node.serial) == ("ACME\ufffd", "A\ufffdB")


# --- configured directories ----------------------------------------------------------------------


def virtual(path: Path) -> VirtualDriveConfig:
    return VirtualDriveConfig(type="virtual", path=str(path))


def test_a_configured_directory_is_told_under_its_name(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "vt0").mkdir()
    assert machine.scan(vt0=virtual(tmp_path / "vt0")) == [
        DeviceNode(
            kind="drive",
            type="virtual",
            device=str(tmp_path / "vt0"),
            configured_as="vt0",
            path=str(tmp_path / "vt0"),
            present=True,
        )
    ]


def test_directories_come_behind_the_devices_of_the_machine(machine: Machine, tmp_path: Path) -> None:
    machine.device("0:0:0:0", scsi_generic=("sg0",))
    nodes = machine.scan(vt0=virtual(tmp_path))
    assert [(node.type, node.configured_as) for node in nodes] == [("scsi", ""), ("virtual", "vt0")]


def test_a_configured_directory_that_is_not_there_is_told_as_absent(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    nodes = machine.scan(vt0=virtual(tmp_path / "vt0"), vt1=virtual(tmp_path / "file"))
    assert [(node.configured_as, node.present) for node in nodes] == [("vt0", False), ("vt1", False)]
    assert not (tmp_path / "vt0").exists()


def test_a_configured_drive_of_another_kind_is_no_directory(machine: Machine) -> None:
    assert scan(machine.sysfs, {"lto0": SimpleNamespace(type="lto", path="/dev/sg0")}, dev=machine.dev) == []


def test_two_paths_to_one_directory_are_told_as_such(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "vt0").mkdir()
    (tmp_path / "link").symlink_to("vt0")
    nodes = machine.scan(vt0=virtual(tmp_path / "vt0"), vt1=virtual(tmp_path / "link"))
    assert [node.duplicate_of for node in nodes] == ["", str(tmp_path / "vt0")]
