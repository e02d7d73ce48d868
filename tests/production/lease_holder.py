"""Take a lease, say so, and hold it until a line is read; for tests that kill and stop it.

Arguments: URI, seconds to live, moment to begin. Prints ``held`` or ``locked``, and
in the end ``lost`` or ``released``.
"""

import sys
import time

from catalogtool.errors import LockedError
from catalogtool.production.lease import lease

uri, ttl_s, start = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
time.sleep(max(0.0, start - time.time()))
outcome = "locked"
try:
    with lease(uri, ttl_s=ttl_s) as held:
        outcome = "lost"
        sys.stdout.write("held\n")
        sys.stdout.flush()
        sys.stdin.readline()
        held.check()
    outcome = "released"
except LockedError:
    pass
sys.stdout.write(f"{outcome}\n")
