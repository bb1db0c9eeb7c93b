"""``python -m phone.cli`` is ``offhook``."""

import sys

from phone.cli.entry import main

sys.exit(main())
