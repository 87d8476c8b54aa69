# SPDX-License-Identifier: LGPL-2.1-or-later
"""The settings: ``tapeds.toml`` and its drop-ins as one frozen, checked `Config`."""
