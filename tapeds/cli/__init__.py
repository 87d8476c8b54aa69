# SPDX-License-Identifier: LGPL-2.1-or-later
"""tapectl: a client of the tape drive service like any other.

``main`` holds the tree of verbs and the exit status, ``verb`` what all verbs share, ``client`` the
bus and the event loop, ``remote`` drives, changers and leases as objects.  Each verb stands with
its subject: ``drive``, ``label``, ``data``, ``changer``, ``jobs``, ``lock``, ``monitor``, ``doctor``.
"""
