"""Produce one night: journal, work, commit. Arguments: commit, journal, hold.

While the file ``hold`` names the night, it works on and does not end.
"""

import os
import sys
import time

commit, journal, hold = sys.argv[1:]
night = os.path.basename(commit).removesuffix(".json")  # noqa: PTH119 - starts faster


def write(word: str) -> None:
    with open(journal, "a") as file:  # noqa: PTH123 - starts faster
        file.write(f"{word} {night} {os.getpid()}\n")


def held() -> bool:
    try:
        with open(hold) as file:  # noqa: PTH123 - starts faster
            return file.read() == night
    except FileNotFoundError:
        return False


write("begun")
while held():
    time.sleep(0.02)
os.makedirs(os.path.dirname(commit), exist_ok=True)  # noqa: PTH103, PTH120 - starts faster
with open(commit, "x") as file:  # noqa: PTH123 - starts faster
    file.write("{}")
write("produced")
