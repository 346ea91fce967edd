"""New files and folders that are their owner's alone, whatever the umask: rows, models and definitions are nobody else's.

A folder that its group may write to was given to that group, so what is made in it is the group's
too.
"""

import os
from contextlib import suppress
from pathlib import Path


def make_folder(path: str | os.PathLike[str]) -> None:
    """Make a folder, and those above it that are not there; one that is there stays as it is."""
    place = Path(path)
    for each in [*reversed(place.parents), place]:
        with suppress(FileExistsError):
            if not each.is_dir():
                each.mkdir()
                each.chmod(0o700 | _get_group_bits(each))


def make_file(path: str | os.PathLike[str]) -> None:
    """Make an empty file, with the folders above it, for another library to write to; one that is there stays as it is.

    Where that cannot be, the other library says why.
    """
    with suppress(OSError):
        make_folder(Path(path).parent)
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        Path(path).chmod(0o600 | _get_group_bits(Path(path)) & 0o060)


def make_tree_private(path: str | os.PathLike[str]) -> None:
    """Take a folder that another library made, with all that is in it, from everybody else."""
    place = Path(path)
    shared = _get_group_bits(place)
    for each in (place, *place.rglob("*")):
        if not each.is_symlink():
            each.chmod(
                (0o700 if each.is_dir() else 0o600) | (shared if each.is_dir() else shared & 0o060)
            )


def _get_group_bits(path: Path) -> int:
    """What the group of the folder above may do."""
    above = path.parent.stat().st_mode
    return above & 0o070 if above & 0o020 else 0
