"""How much memory a local run has taken, and the limit that it stops at."""

import os
from pathlib import Path

import pyarrow as pa

from spark_fs.errors import MemoryLimitError

_STATUS_FILE = Path("/proc/self/statm")  # of Linux
_PAGE_BYTES: int = os.sysconf("SC_PAGE_SIZE")
# A run stops at this share of its limit: it takes more between two looks.
_STOP_SHARE = 0.9


class MemoryWatch:
    """What this process takes more than when the watch was made.

    It is what Arrow has allocated, or what the operating system says where that is more: NumPy's
    arrays are in that alone, and Arrow's where memory that was free before is used again are not.

    limit: how many bytes it may be.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._arrow_bytes = pa.total_allocated_bytes()
        self._resident_bytes = get_resident_bytes()

    @property
    def growth(self) -> int:
        """By how many bytes the process has grown."""
        arrow_growth: int = pa.total_allocated_bytes() - self._arrow_bytes
        return max(arrow_growth, get_resident_bytes() - self._resident_bytes)

    def check(self) -> None:
        """MemoryLimitError where the limit is near."""
        if self.growth > self.limit * _STOP_SHARE:
            raise MemoryLimitError.for_limit(self.limit)


def get_resident_bytes() -> int:
    """The bytes of this process that are in memory; 0 where the system does not say."""
    try:
        pages = _STATUS_FILE.read_bytes().split()[1]
    except OSError:
        return 0
    return int(pages) * _PAGE_BYTES


def get_machine_memory() -> int:
    """The bytes of memory that this machine has."""
    return os.sysconf("SC_PHYS_PAGES") * _PAGE_BYTES
