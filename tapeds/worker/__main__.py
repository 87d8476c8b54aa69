# SPDX-License-Identifier: LGPL-2.1-or-later
"""``python -m tapeds.worker`` is one worker."""

import sys

from tapeds.worker.main import main

if __name__ == "__main__":
    sys.exit(main())
