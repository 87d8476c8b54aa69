# SPDX-License-Identifier: LGPL-2.1-or-later
"""The commands, one file for each family; every file ends with the rows of its commands."""
