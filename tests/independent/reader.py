# SPDX-License-Identifier: LGPL-2.1-or-later
"""A second reader of virtual tape directories, for checking the first.

Written from the description of the format alone; `struct` and `json` are all it uses, and nothing
of the program under test.  It repairs nothing, writes nothing and believes nothing.
"""

import json
import struct

BLOCK = 262144
HEADER = 16
PAYLOAD = BLOCK - HEADER
BLOCK_MAGIC = bytes.fromhex("dcbdafcaeba0a528")
CONTENT_MAGIC = bytes.fromhex("63ee149fcdf29b0c")
KINDS = {
    bytes.fromhex("2a05bf3cb030aa39"): "media-label",
    bytes.fromhex("086063f92f9753d8"): "media-set-label",
    bytes.fromhex("6d31636dd70283bf"): "chunk-archive",
    bytes.fromhex("da1615d011e29a62"): "snapshot-archive",
    bytes.fromhex("6210369bba10331d"): "snapshot-archive",
    bytes.fromhex("b7cfc7259e991e73"): "catalog-archive",
    bytes.fromhex("b3ec71f0adec0260"): "catalog-archive",
}
LABEL_LIMIT = 65536

COMPLETE = "complete"  # end marker, nothing else
INCOMPLETE = "incomplete"  # end marker that says so
NO_END = "no-end-marker"  # the blocks stop without one
MALFORMED = "malformed"  # a rule is broken


class File:
    """One tape file: what its blocks say.  ``blocks`` counts the good ones before the first fault."""

    def __init__(self, number, path):
        self.number = number
        self.path = path
        self.state = NO_END
        self.fault = ""
        self.blocks = 0
        self.payload_bytes = 0
        self.kind = "unknown"
        self.header = b""  # the 48 bytes of the content header, if there is one
        self.header_data = b""  # and what it announces
        self._scan()

    def payload(self):
        """Yield the payload block by block, as far as the blocks are good."""
        with open(self.path, "rb") as stream:
            for _ in range(self.blocks):
                block = stream.read(BLOCK)
                size = int.from_bytes(block[9:12], "little")
                yield block[HEADER : HEADER + size]

    def data(self):
        """Yield the payload behind content header and header data."""
        skip = len(self.header) + len(self.header_data)
        for piece in self.payload():
            if skip >= len(piece):
                skip -= len(piece)
                continue
            yield piece[skip:]
            skip = 0

    def _bad(self, text):
        self.state = MALFORMED
        self.fault = f"file {self.number}, block {self.blocks}: {text}"

    def _scan(self):
        head = b""
        with open(self.path, "rb") as stream:
            while True:
                block = stream.read(BLOCK)
                if not block:
                    break
                if self.state in (COMPLETE, INCOMPLETE):
                    return self._bad("a block behind the end marker")
                if len(block) != BLOCK:
                    return self._bad(f"a block of {len(block)} bytes")
                magic, flags, low, high, sequence = struct.unpack_from("<8sBHBI", block)
                size = low | high << 16
                if magic != BLOCK_MAGIC:
                    return self._bad("wrong magic number")
                if sequence != self.blocks:
                    return self._bad(f"sequence number {sequence}")
                if size > PAYLOAD:
                    return self._bad(f"payload of {size} bytes")
                if flags & ~3 or flags == 2:
                    return self._bad(f"flags {flags:#04x}")
                if not flags and not size:
                    return self._bad("empty block without end marker")
                if block.count(0, HEADER + size) != BLOCK - HEADER - size:
                    return self._bad("the rest of the block is not zero")
                if len(head) < 48 + LABEL_LIMIT:
                    head += block[HEADER : HEADER + size]
                self.blocks += 1
                self.payload_bytes += size
                if flags:
                    self.state = INCOMPLETE if flags & 2 else COMPLETE
        return self._content(head)

    def _content(self, head):
        if len(head) < 48 or head[:8] != CONTENT_MAGIC:
            return
        size = struct.unpack_from("<I", head, 40)[0]
        if len(head) < 48 + size:
            return
        self.header = head[:48]
        self.header_data = head[48 : 48 + size]
        self.kind = KINDS.get(head[8:16], "file")


class Tape:
    """One cartridge: its index, its files, and its labels where it has any."""

    def __init__(self, directory, label):
        self.directory = directory
        self.label_text = label
        with open(f"{directory}/tape-{label}.json", "rb") as stream:
            text = stream.read()
        self.count = json.loads(text)["files"] if text else 0
        self.files = [
            File(number, f"{directory}/tapefile-{number}-{label}.json") for number in range(self.count)
        ]
        self.media_label = self._label(0, "media-label")
        self.set_label = self._label(1, "media-set-label")

    def _label(self, number, kind):
        if number >= len(self.files):
            return None
        file = self.files[number]
        if file.kind != kind or file.state != COMPLETE:
            return None
        if (
            file.payload_bytes != len(file.header) + len(file.header_data)
            or not 1 <= len(file.header_data) <= LABEL_LIMIT
        ):
            file.state, file.fault = MALFORMED, f"file {number}: data behind the label"
            return None
        return json.loads(file.header_data)

    def faults(self):
        """Every broken rule, in order of files."""
        return [file.fault for file in self.files if file.state == MALFORMED]

    def complete(self):
        """Numbers of the files that read whole."""
        return [file.number for file in self.files if file.state == COMPLETE]


def labels(names):
    """The cartridges among the names of a directory's entries."""
    return sorted(name[5:-5] for name in names if name.startswith("tape-") and name.endswith(".json"))


def read_directory(directory, names):
    """Every tape of a virtual drive, by label.  ``names`` are the names of the directory's entries.

    Raises ValueError for JSON that is none, OSError for an index that counts a file that is not there.
    """
    if "drive-status.json" in names:
        with open(f"{directory}/drive-status.json", "rb") as stream:
            current = json.load(stream)["current_tape"]
        if current is not None:
            if current["name"] not in labels(names):
                raise ValueError(f"loaded tape {current['name']} has no index")
            if current["pos"] < 0:
                raise ValueError(f"position {current['pos']}")
    return {label: Tape(directory, label) for label in labels(names)}


def describe(tape):
    """Lines for a person."""
    lines = [f"{tape.label_text}: {tape.count} files"]
    if tape.media_label is not None:
        lines.append(f"  label {tape.media_label['label_text']} {tape.media_label['uuid']}")
    if tape.set_label is not None:
        belongs = tape.set_label
        lines.append(f"  media set {belongs['uuid']} pool {belongs['pool']} number {belongs['seq_nr']}")
    lines += [
        f"  file {file.number}: {file.kind}, {file.payload_bytes} bytes in {file.blocks} blocks, {file.state}"
        + (f" ({file.fault})" if file.fault else "")
        for file in tape.files
    ]
    return lines
