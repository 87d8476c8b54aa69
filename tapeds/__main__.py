# SPDX-License-Identifier: LGPL-2.1-or-later
"""``python -m tapeds`` runs the daemon."""

import sys

from tapeds.daemon import main

if __name__ == "__main__":
    sys.exit(main())
