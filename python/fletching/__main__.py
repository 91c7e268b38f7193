"""`python -m fletching` is the command `fletching`."""

import sys

from fletching._cli import main

sys.exit(main())
