# SPDX-License-Identifier: LGPL-2.1-or-later
"""The pages of LOG SENSE: what a drive counts and what it says of itself."""
