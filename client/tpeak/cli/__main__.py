"""`python -m tpeak.cli`: the `tpeak` command where its script is not on the path."""

import sys

from tpeak.cli import main

sys.exit(main())
