"""The project that this process logged in to last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spark_fs.errors import SettingsError

if TYPE_CHECKING:
    from spark_fs.api.project import Project

_logins: list[Project] = []  # the last one of this process


def note_login(project: Project) -> None:
    """Remember a project as the last."""
    _logins[:] = [project]


def get_current_project() -> Project:
    """Return the project that this process logged in to last.

    Raises:
        SettingsError: It has not logged in.
    """
    if not _logins:
        raise SettingsError("This process has not logged in: call spark_fs.login() first.")
    return _logins[-1]


def logout() -> None:
    """Forget the project that this process logged in to last; what came of it goes on."""
    _logins.clear()
