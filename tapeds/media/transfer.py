# SPDX-License-Identifier: LGPL-2.1-or-later
"""One file between a caller and a tape, in either direction."""

from tapeds.media.reading import FileRead, ReadPlan, read_file
from tapeds.media.writing import FileWritten, WritePlan, write_file

__all__ = ["FileRead", "FileWritten", "ReadPlan", "WritePlan", "read_file", "write_file"]
