# SPDX-License-Identifier: LGPL-2.1-or-later
"""Jobs: what was asked, by whom, how far it is and how it ended.  Knows no device."""
