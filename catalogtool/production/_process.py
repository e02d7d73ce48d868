"""Identity of a process that another process of the same host can check."""

import os
from pathlib import Path
from typing import Self

from catalogtool.config._base import Settings

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_PID_NAMESPACE = Path("/proc/self/ns/pid")
_ENDED = ("Z", "X")


class ProcessIdentity(Settings):
    """A process of one boot of one host; a number that is used again does not deceive it."""

    pid: int
    boot_id: str
    """Empty where the system does not tell; then nobody can say that the process is dead."""
    pid_namespace: str
    """Containers of one host count their processes apart."""
    started_ticks: int
    """Clock ticks from boot to the start of the process."""

    @classmethod
    def own(cls) -> Self:
        """Identity of this process."""
        pid = os.getpid()
        boot_id, namespace = _surroundings()
        _, started = _state_and_start(pid)
        return cls(pid=pid, boot_id=boot_id, pid_namespace=namespace, started_ticks=started)

    def is_known_dead(self) -> bool:
        """Whether this host can tell that the process has ended."""
        return self._is_visible() and not self._runs()

    def is_known_alive(self) -> bool:
        """Whether this host can tell that the process still runs."""
        return self._is_visible() and self._runs()

    def _is_visible(self) -> bool:
        return bool(self.boot_id) and (self.boot_id, self.pid_namespace) == _surroundings()

    def _runs(self) -> bool:
        state, started = _state_and_start(self.pid)
        return state not in _ENDED and started == self.started_ticks


def _surroundings() -> tuple[str, str]:
    try:
        return _BOOT_ID.read_text().strip(), str(_PID_NAMESPACE.readlink())
    except OSError:
        return "", ""


def _state_and_start(pid: int) -> tuple[str, int]:
    """State letter and start of a process; X and 0 if there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return "X", 0
    # The name, in parentheses, may hold spaces and parentheses itself.
    fields = text.rpartition(")")[2].split()
    return fields[0], int(fields[19])
