# SPDX-License-Identifier: LGPL-2.1-or-later
"""The door to the bus: objects, authorization, options, errors out.  No ideas of its own."""
