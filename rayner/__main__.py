"""`python -m rayner`, in a clone, is the command `rayner` where it is not installed."""

import sys

from rayner.cli import main

sys.exit(main())
