# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a library robot is: the door `base.Changer` and the kinds of changer behind it."""
