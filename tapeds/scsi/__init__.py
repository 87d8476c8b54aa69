# SPDX-License-Identifier: LGPL-2.1-or-later
"""What T10 says, on paper: bytes to values and back.  No I/O, no clock, no log.

One file per family of the standard: `spc` is what all devices share, `ssc` is tape, `log_pages` are
the pages of LOG SENSE, `mam` is the memory in the cartridge.  The standards are in docs/references.md.
"""
