# SPDX-License-Identifier: LGPL-2.1-or-later
"""tapeds: the tape drive service for Linux."""

__version__ = "0.1.0"
