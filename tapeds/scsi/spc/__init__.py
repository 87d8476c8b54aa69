# SPDX-License-Identifier: LGPL-2.1-or-later
"""Commands and pages that all SCSI devices share.  Ref: [SPC-5]."""
