"""Connections do not cross a fork.

A child neither speaks on those of its parent nor takes leave on them.
"""

import ctypes
import os
import weakref
from typing import Protocol


class ConnectionHolder(Protocol):
    """What holds connections."""

    def reset_connections(self) -> object:
        """Hold none from now on; returns what held those of the parent."""


_HOLDERS: weakref.WeakSet[ConnectionHolder] = weakref.WeakSet()


def register_holder(holder: ConnectionHolder) -> None:
    """Let a holder begin anew in each forked process, as long as it is there."""
    _HOLDERS.add(holder)


def _reset_after_fork() -> None:
    for holder in list(_HOLDERS):
        # Never freed, not even as the interpreter ends: to free a connection is to end it at the
        # server, for the parent too.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(holder.reset_connections()))


os.register_at_fork(after_in_child=_reset_after_fork)
