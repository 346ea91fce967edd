"""The memory of a program and of what it starts, by role, while it runs."""

import contextlib
import os
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

ROLES = ("driver", "JVM", "workers")
_INTERVAL = 0.1  # seconds between two looks
_COUNTED = ("Pss_Anon:", "Pss_Shmem:")


def run_measured(command: Sequence[str]) -> tuple[str, dict[str, int]]:
    """Run a program to its end; gives what it printed, and the greatest bytes of each role.

    What processes share is dealt to them, and pages of files that the system may drop at any time
    do not count. "all" is the greatest sum at one moment.
    """
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    greatest = dict.fromkeys((*ROLES, "all"), 0)
    while process.poll() is None:
        sizes = dict.fromkeys(ROLES, 0)
        for pid in _list_tree(process.pid):
            sizes[_get_role(pid, process.pid)] += _get_bytes(pid)
        for name, size in {**sizes, "all": sum(sizes.values())}.items():
            greatest[name] = max(greatest[name], size)
        time.sleep(_INTERVAL)
    assert process.stdout
    output = process.stdout.read()
    if process.returncode:
        raise SystemExit(f"{command} ended with {process.returncode}: {output}")
    return output, greatest


def _get_role(pid: int, driver: int) -> str:
    if pid == driver:
        return "driver"
    with contextlib.suppress(OSError):
        if Path(f"/proc/{pid}/comm").read_text().strip() == "java":
            return "JVM"
    return "workers"


def _get_bytes(pid: int) -> int:
    """The memory of a process, with its part of what it shares; 0 where it has ended."""
    with contextlib.suppress(OSError):
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(_COUNTED))
    return 0


def _list_tree(root: int) -> list[int]:
    """A process and all that descend from it."""
    found = [root]
    for pid in found:
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{pid}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
    return found


class PeakMemory:
    """The greatest memory of this process within a context, above that at its beginning."""

    def __init__(self) -> None:
        self.bytes = 0
        self._before = _get_bytes(os.getpid())
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(_INTERVAL / 5):
            self.bytes = max(self.bytes, _get_bytes(os.getpid()) - self._before)
