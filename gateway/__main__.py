"""`python -m gateway`, which is the `onefleet` command."""

import sys

from onefleet import main

if __name__ == "__main__":
    sys.exit(main())
