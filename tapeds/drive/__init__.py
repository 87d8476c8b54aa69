# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a drive is: the door `base.Drive` and the kinds of drive behind it."""
