"""Appends a night in children that die by SIGKILL: ``killed_append.py NIGHT FOLDER:N ...``.

Each child dies before its write number N; the exit codes are printed.
"""

import json
import os
import signal
import sys
from itertools import count
from pathlib import Path
from typing import Any

from append_samples import append_night

from catalogtool import storage

writes = count()


def dying(function: Any, last: int) -> Any:  # noqa: ANN401 - any function of storage
    def write(*arguments: Any) -> Any:  # noqa: ANN401
        if next(writes) == last:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments)

    return write


def append_and_die(folder: Path, night: int, last: int) -> None:
    for name in ("create_bytes", "write_bytes", "upload_file", "delete"):
        setattr(storage, name, dying(getattr(storage, name), last))
    append_night(folder, night, [f"night-{n:02d}" for n in range(night)])


if __name__ == "__main__":
    codes = []
    for victim in sys.argv[2:]:
        folder, _, moment = victim.rpartition(":")
        child = os.fork()
        if child == 0:
            append_and_die(Path(folder), int(sys.argv[1]), int(moment))
            os._exit(0)
        codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    sys.stdout.write(json.dumps(codes))
