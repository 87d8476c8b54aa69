# SPDX-License-Identifier: LGPL-2.1-or-later
"""The drive's answers, read by programs that nobody here wrote: sg3-utils decodes every page."""

from __future__ import annotations

import re
import subprocess
from typing import Any

import pytest

pytestmark = pytest.mark.requires("sg_inq")

BLOCK = bytes(1 << 20)


def decoded(program: str, *arguments: str, data: bytes) -> str:
    """What a program prints of an answer; a complaint is a failure."""
    done = subprocess.run(
        [program, *arguments], input=data.hex(" "), capture_output=True, text=True, check=False, timeout=30
    )
    assert (done.returncode, done.stderr) == (0, ""), f"{program}: {done.stdout}{done.stderr}"
    return done.stdout


def values(text: str) -> dict[str, str]:
    """``name: value`` and ``NAME=value`` of a printed page."""
    pairs = re.findall(r"^[ \t]*([^:=\n]+?)[ \t]*[:=][ \t]*(.*?)[ \t]*$", text, re.MULTILINE)
    return dict(pairs)


def flags(text: str) -> dict[str, str]:
    return dict(re.findall(r"\b([A-Z]+)=([0-9a-f]+)\b", text))


def alerts(text: str) -> set[int]:
    """The flags that are up in a page printed as eight lines of eight."""
    return {int(flag, 16) for flag, up in re.findall(r"([0-9A-F]{2})h: ([01])", text) if up == "1"}


def vpd(host: Any, page: int) -> str:
    return decoded("sg_vpd", "--inhex=-", f"--page={page}", data=host.good(f"12 01 {page:02x} 01 00 00"))


def log(host: Any, page: int, subpage: int = 0) -> str:
    data = host.good(f"4d 00 {page | 0x40:02x} {subpage:02x} 00 00 00 ff ff 00")
    return decoded("sg_logs", "--in=-", "--pdt=1", data=data)


@pytest.fixture
def used(host: Any) -> Any:
    """A cartridge with five blocks of 1 MiB and a filemark; two blocks were read back."""
    for _ in range(5):
        assert host.write(BLOCK).status == 0
    host.filemark()
    host.good("01 00 00 00 00 00")
    for _ in range(2):
        assert len(host.read(1 << 20).data) == 1 << 20
    return host


@pytest.mark.parametrize(("generation", "product"), [("LTO-8", "ULTRIUM-TD8"), ("LTO-9", "ULTRIUM-TD9")])
def test_inquiry(make: Any, at: Any, generation: str, product: str) -> None:
    text = decoded(
        "sg_inq", "-d", "--inhex=-", data=at(make(generation=generation)).good("12 00 00 01 00 00")
    )
    assert "Peripheral device type: tape" in text
    assert "PDT=1  RMB=1" in text
    assert "version=0x06  [SPC-4]" in text
    assert "length=96 (0x60)" in text
    assert values(text)["Vendor identification"] == "TAPEDS"
    assert values(text)["Product identification"] == product
    assert values(text)["Product revision level"] == "SIM1"
    assert re.findall(r"(S[A-Z]+-\d) \(no version", text) == ["SAM-5", "SPC-4", "SSC-4"]


def test_vpd_00_lists_the_pages(host: Any) -> None:
    names = re.findall(r"\[(\w+)\]", vpd(host, 0x00))
    assert names == ["sv", "sn", "di", "sad", "mas", "tas"]


def test_vpd_80_is_the_serial_number(host: Any) -> None:
    assert values(vpd(host, 0x80))["Unit serial number"] == "SIM0000042"


def test_vpd_83_names_the_logical_unit(host: Any) -> None:
    text = vpd(host, 0x83)
    assert "Addressed logical unit:" in text
    assert "designator type: T10 vendor identification,  code set: ASCII" in text
    assert "vendor specific: ULTRIUM-TD9     SIM0000042" in text
    assert "designator type: NAA,  code set: Binary" in text
    assert "0x3030303030303432" in text


def test_vpd_b0_supports_worm_media(host: Any) -> None:
    assert flags(vpd(host, 0xB0)) == {"WORM": "1"}


def test_vpd_b1_is_the_serial_number_that_the_maker_gave(host: Any) -> None:
    assert values(vpd(host, 0xB1))["Manufacturer-assigned serial number"] == "SIM0000042"


def test_vpd_b2_supports_all_alerts(host: Any) -> None:
    assert alerts(vpd(host, 0xB2)) == set(range(1, 65))


def test_log_00_lists_the_pages(host: Any) -> None:
    wanted = ["0x00", "0x02", "0x03", "0x0c", "0x11", "0x12", "0x17", "0x2e", "0x31"]
    assert re.findall(r"^\s+(0x\w\w)  ", log(host, 0x00), re.MULTILINE) == wanted
    assert re.findall(r"^\s+(0x\w\w)  ", log(host, 0x00, 0xFF), re.MULTILINE) == wanted
    assert "0x00,0xff" in log(host, 0x00, 0xFF)


def test_log_02_and_03_count_bytes_and_errors(used: Any) -> None:
    written, read = values(log(used, 0x02)), values(log(used, 0x03))
    assert written["Total bytes processed"] == str(5 << 20)
    assert read["Total bytes processed"] == str(2 << 20)
    assert written["Total uncorrected errors"] == read["Total uncorrected errors"] == "0"
    used.device.set_faults('[[fault]]\nkind = "sense"\nblock = 2\nsense = [3, 0x11, 0]\n')
    assert used.code("08 02 10 00 00 00") == "3/11/00"
    assert values(log(used, 0x03))["Total uncorrected errors"] == "1"


def test_log_0c_counts_what_the_host_and_the_medium_got(make: Any, at: Any) -> None:
    device = make(buffer_bytes=1 << 25, capacity=1 << 33)
    device.create_cartridge("BIG")
    host = at(device)
    host.settle()
    host.load("BIG")
    for _ in range(20):
        host.good("0a 00 10 00 00 00", BLOCK)
    buffered = log(host, 0x0C)
    assert "written to media by WRITE commands: 0 GB" in buffered
    assert "Native capacity from BOP to EOD: 8589 MB" in buffered
    assert "Native capacity from BOP to EW of current partition: 8333 MB" in buffered
    assert "Minimum native capacity from EW to EOP of current partition: 256 MB" in buffered
    assert "Native capacity from BOP to current position: 20 MB" in buffered
    assert "Maximum native capacity in device object buffer: 33 MB" in buffered
    assert "Cleaning action not required" in buffered
    data = host.good("4d 00 4c 00 00 00 00 ff ff 00")
    assert data[4:16].hex(" ") == "00 00 03 08 00 00 00 00 01 40 00 00"  # received: 20 MiB
    assert data[16:28].hex(" ") == "00 01 03 08 00 00 00 00 00 00 00 00"  # on the medium: none yet
    host.filemark()
    data = host.good("4d 00 4c 00 00 00 00 ff ff 00")
    assert data[16:28].hex(" ") == "00 01 03 08 00 00 00 00 01 40 00 00"
    device.want_cleaning(required=True)
    assert "Cleaning action required" in log(host, 0x0C)


def test_log_11_tells_what_the_drive_does(used: Any) -> None:
    text = log(used, 0x11)
    assert "No DT device activity" in text
    assert "polling delay:  2000 milliseconds" in text
    assert flags(text) == {
        "PAMR": "0", "HUI": "0", "MACC": "1", "CMPR": "1", "WRTP": "0", "CRQST": "0", "CRQRD": "0",
        "DINIT": "1", "INXTN": "0", "RAA": "0", "MPRSNT": "1", "MSTD": "1", "MTHRD": "1", "MOUNTED": "1",
        "VS": "0", "TDDEC": "0", "EPP": "0", "ESR": "0", "RRQST": "0", "INTFC": "0", "TAFC": "0",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("cdb", "activity"),
    [
        ("01 01 00 00 00 00", "Rewinding"),
        ("92 01 00 00 00 00 00 00 00 00 00 05 00 00 00 00", "Locating"),
        ("1b 01 00 00 00 00", "Volume is being unloaded"),
    ],
)
def test_log_11_tells_the_activity(used: Any, cdb: str, activity: str) -> None:
    used.good(cdb)
    text = log(used, 0x11)
    assert f"DT device activity: {activity}" in text
    assert flags(text)["INXTN"] == "1"


@pytest.mark.parametrize(
    ("cdb", "activity"), [("19 03 00 00 00 00", "Erasing"), ("04 01 00 00 00 00", "Formatting")]
)
def test_log_11_tells_the_activity_at_the_beginning(host: Any, cdb: str, activity: str) -> None:
    host.good(cdb)
    assert f"DT device activity: {activity}" in log(host, 0x11)


def test_log_11_tells_who_prevents_and_what_wants_cleaning(host: Any) -> None:
    host.good("1e 00 00 00 01 00")
    host.device.want_cleaning(required=False)
    found = flags(log(host, 0x11))
    assert (found["PAMR"], found["CRQST"], found["CRQRD"], found["TAFC"]) == ("1", "1", "0", "1")
    host.device.want_cleaning(required=True)
    found = flags(log(host, 0x11))
    assert (found["CRQST"], found["CRQRD"]) == ("0", "1")


def test_log_12_tells_alerts_and_clears_none(host: Any) -> None:
    assert alerts(log(host, 0x12)) == set()
    host.device.set_faults('[[fault]]\nkind = "alert"\nflag = 4\n[[fault]]\nkind = "alert"\nflag = 20\n')
    assert alerts(log(host, 0x12)) == {4, 20}
    assert alerts(log(host, 0x12)) == {4, 20}


def test_log_2e_tells_alerts_once(host: Any) -> None:
    host.device.want_cleaning(required=True)
    assert values(log(host, 0x2E))["Cleaning required"] == "1"
    assert values(log(host, 0x2E))["Cleaning required"] == "0"
    assert alerts(log(host, 0x12)) == {20}


def test_log_17_tells_the_life_of_the_medium(used: Any) -> None:
    found = values(log(used, 0x17))
    assert found["Page valid"] == "1"
    assert found["Thread count"] == "1"
    assert found["Last mount megabytes written"] == found["Lifetime megabytes written"] == "5"
    assert found["Last mount megabytes read"] == found["Lifetime megabytes read"] == "2"
    assert found["Medium mount time"] == "17000"
    assert found["Total native capacity [MB]"] == "1024"
    assert found["Total used native capacity [MB]"] == "5"
    assert found["Volume personality"] == "Ultrium-9"
    assert (found["Write protect"], found["WORM"]) == ("0", "0")
    assert found["Beginning of medium passes"] == "2"
    records = re.findall(r"partition number: 0, partition record data counter: (\d+)", log(used, 0x17))
    assert records == ["1024", "5", "1018"]


def test_log_17_knows_a_worm_cartridge_with_its_switch_on(host: Any) -> None:
    host.device.remove()
    host.device.create_cartridge("W00001LZ", worm=True, write_protected=True)
    host.load("W00001LZ")
    found = values(log(host, 0x17))
    assert (found["Write protect"], found["WORM"]) == ("1", "1")


def test_log_31_tells_what_is_left(used: Any) -> None:
    text = log(used, 0x31)
    assert "Main partition remaining capacity (in MiB): 971" in text
    assert "Main partition maximum capacity (in MiB): 976" in text


def test_read_attribute(used: Any) -> None:
    used.good(
        "8d 01 00 00 00 00 00 00 00 00 00 00 00 29 00 00",
        bytes.fromhex("00 00 00 25 08 01 01 00 20") + b"Proxmox Backup Server".ljust(32),
    )
    used.good(
        "8d 01 00 00 00 00 00 00 00 00 00 00 00 a9 00 00",
        bytes.fromhex("00 00 00 a5 08 03 02 00 a0") + b"TEST01L8".ljust(160, b"\0"),
    )
    data = used.good("8c 00 00 00 00 00 00 00 00 00 00 00 80 00 00 00")
    found = values(decoded("sg_read_attr", "--in=-", data=data))
    assert found["Remaining capacity in partition [MiB]"] == "971"
    assert found["Maximum capacity in partition [MiB]"] == "976"
    assert found["TapeAlert flags"] == "0"
    assert found["Load count"] == "1"
    assert found["Format density code"] == "0x60"
    assert found["Volume change reference"] == "0x2"
    assert found["Density vendor/serial number at last load"].split() == ["TAPEDS", "SIM0000042"]
    assert found["Total MiB written in medium life"] == "5"
    assert found["Total MiB read in current/last load"] == "2"
    assert found["Medium manufacturer"] == "TAPEDS"
    assert re.fullmatch("[0-9A-F]{10}", found["Medium serial number"])
    assert found["Medium length [m]"] == "1035"
    assert found["Medium width [0.1 mm]"] == "127"
    assert found["Medium density code"] == "0x60"
    assert found["Medium type"] == "0x0"
    assert found["Application name"] == "Proxmox Backup Server"
    assert found["User medium text label"].rstrip("\0. ") == "TEST01L8"


def test_sense_data_of_both_formats(host: Any) -> None:
    fixed = host("01 02 00 00 00 00").sense
    text = subprocess.run(
        ["sg_decode_sense", *fixed.hex(" ").split()], capture_output=True, text=True, check=True
    )
    assert "Fixed format, current; Sense key: Illegal Request" in text.stdout
    assert "Invalid field in cdb" in text.stdout
    assert "byte 1" in text.stdout
    host.good("15 10 00 00 10 00", bytes.fromhex("00 00 10 00 0a 0a 04 00 00 00 00 00 00 00 00 00"))
    described = host("11 01 ff ff fd 00").sense
    text = subprocess.run(
        ["sg_decode_sense", *described.hex(" ").split()], capture_output=True, text=True, check=True
    )
    assert "Descriptor format, current; Sense key: No Sense" in text.stdout
    assert "Beginning-of-partition/medium detected" in text.stdout
    assert "0x0000000000000003" in text.stdout
    assert "EOM" in text.stdout
