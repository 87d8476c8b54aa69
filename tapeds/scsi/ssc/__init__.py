# SPDX-License-Identifier: LGPL-2.1-or-later
"""Commands and pages of tape drives.  Ref: [SSC-5]."""
