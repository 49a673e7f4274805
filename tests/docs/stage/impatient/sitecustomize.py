"""Makes clients' waiters impatient: those of boto3 and of the aws command line ask every 15 seconds only."""

import sys
import time

_HASTE = 100


def _sleep_less(seconds: float, sleep=time.sleep) -> None:
    sleep(seconds / _HASTE)


if not any(word.endswith("onefleet") for word in sys.orig_argv):
    time.sleep = _sleep_less
