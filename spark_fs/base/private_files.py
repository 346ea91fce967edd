"""New files and folders that are their owner's alone, whatever the umask.

Rows, models and definitions are nobody else's. A folder that its group may write to was given to
that group, so what is made in it is the group's too.
"""

import os
from contextlib import suppress
from pathlib import Path

_OWNER_FOLDER = 0o700
_OWNER_FILE = 0o600
_GROUP_FILE = 0o060  # what of the group's bits a file may have


def make_folder(path: str | os.PathLike[str]) -> None:
    """Make a folder, and those above it that are not there; one that is there stays as it is."""
    target = Path(path)
    for folder in [*reversed(target.parents), target]:
        with suppress(FileExistsError):
            if not folder.is_dir():
                folder.mkdir()
                folder.chmod(_OWNER_FOLDER | _get_group_bits(folder))


def make_file(path: str | os.PathLike[str]) -> None:
    """Make an empty file, with the folders above it, for another library to write to.

    A file that is there stays as it is. Where none can be made, the other library says why.
    """
    file = Path(path)
    with suppress(OSError):
        make_folder(file.parent)
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, _OWNER_FILE))
        file.chmod(_OWNER_FILE | _get_group_bits(file) & _GROUP_FILE)


def make_tree_private(path: str | os.PathLike[str]) -> None:
    """Take a folder that another library made, with all that is in it, from everybody else."""
    root = Path(path)
    group_bits = _get_group_bits(root)
    for item in (root, *root.rglob("*")):
        if item.is_symlink():
            continue
        if item.is_dir():
            item.chmod(_OWNER_FOLDER | group_bits)
        else:
            item.chmod(_OWNER_FILE | group_bits & _GROUP_FILE)


def _get_group_bits(path: Path) -> int:
    """What the group of the folder above may do."""
    mode = path.parent.stat().st_mode
    return mode & 0o070 if mode & 0o020 else 0
