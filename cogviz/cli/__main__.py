"""`python -m cogviz.cli`, where the script is not on the path."""

import sys

from cogviz.cli import main

sys.exit(main())
