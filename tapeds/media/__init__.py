# SPDX-License-Identifier: LGPL-2.1-or-later
"""What we write on tape: blocks, labels, files, and the pump between a caller and the drive."""
