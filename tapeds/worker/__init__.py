# SPDX-License-Identifier: LGPL-2.1-or-later
"""One process per device in use: the only place where a device is open."""
