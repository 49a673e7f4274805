"""Where the bundle starts."""

import os
import sys

# The bundle's libraries are for this process, which has found them by now; what it starts, such as QEMU or ssh, has its
# own. The launcher, and PyInstaller's bootloader after it, keep what was set before.
theirs = os.environ.pop("LD_LIBRARY_PATH_ORIG", "")
theirs = os.environ.pop("ONEFLEET_LD_LIBRARY_PATH", theirs)
if theirs:
    os.environ["LD_LIBRARY_PATH"] = theirs
else:
    os.environ.pop("LD_LIBRARY_PATH", None)
for name in [name for name in os.environ if name.startswith("_PYI_")]:
    del os.environ[name]

sys.path.append(f"{sys._MEIPASS}/tzdata.zip")  # found there by zoneinfo, on hosts that have no time zones of their own

from onefleet import main  # noqa: E402  only now, so that nothing is started with the wrong libraries

sys.exit(main())
