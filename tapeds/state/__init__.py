# SPDX-License-Identifier: LGPL-2.1-or-later
"""What outlives a call: lock files, state texts, and the records that a restart needs."""
