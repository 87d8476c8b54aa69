# SPDX-License-Identifier: LGPL-2.1-or-later
"""The pages of MODE SENSE, MODE SELECT and LOG SENSE."""
