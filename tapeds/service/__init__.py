# SPDX-License-Identifier: LGPL-2.1-or-later
"""The use cases: leases, jobs of drives and changers, requests for media.  The event loop begins here."""
