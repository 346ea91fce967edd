"""The public repositories at their pinned commits: fetched when a test asks for them, and never part of this one.

They are kept in ``.compat``. Where GitHub cannot be reached, SPARK_FS_TEST_COMPAT names a folder that has git
repositories with these commits: clones or bare ones, as ``<name of the repository>`` or ``<owner>+<name>/repo``.
"""

import os
import subprocess
from pathlib import Path

import pytest

from families import REPOSITORIES, Family
from statements import IMPORTS, change_text

KEPT = Path(__file__).parents[2] / ".compat"
GIVEN = os.environ.get("SPARK_FS_TEST_COMPAT")  # a fixture hides it from what is tested


def copy_family(family: Family, target: Path) -> None:
    """Copy the family's files, with another import in its helpers, and the settings of a store beside them."""
    repository, commit = find_repository(family.repository)
    for name in _list_files(family, repository, commit):
        content = _git(repository, "show", f"{commit}:{name}")
        if content.returncode:
            continue  # a picture that the copy of the repository leaves out
        file = target / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.stdout)
    for helper in target.rglob("*.py"):
        helper.write_text(change_text(helper.read_text(), (*IMPORTS, *family.edits)))
    (target / "settings.yaml").write_text(
        f"home: {target / 'store'}\nspark: {{spark.driver.memory: 1g, spark.master: 'local[2]'}}\n"
    )


def _list_files(family: Family, repository: Path, commit: str) -> list[str]:
    folders = (
        [family.folder] if family.folder else sorted({s.split("/")[0] for s in family.scripts})
    )
    folders += family.beside
    listed = _git(repository, "ls-tree", "-r", "--name-only", commit, "--", *folders)
    return listed.stdout.decode().splitlines()


def _git(repository: Path, *words: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["git", "-C", str(repository), *words], capture_output=True, check=False)


def find_repository(name: str) -> tuple[Path, str]:
    """The folder of a repository that has the pinned commit; the test is skipped where it cannot be had."""
    url, commit = REPOSITORIES[name]
    owner, repository = url.split("/")[-2:]
    folders = [KEPT / repository]
    if GIVEN:
        folders = [Path(GIVEN) / repository, Path(GIVEN) / f"{owner}+{repository}" / "repo"]
    for folder in folders:
        if folder.exists() and _has_commit(folder, commit):
            return folder, commit
    if GIVEN:
        pytest.skip(f"SPARK_FS_TEST_COMPAT names {GIVEN}, which has no {repository} with {commit}")
    _fetch(url, commit, KEPT / repository)
    return KEPT / repository, commit


def _has_commit(folder: Path, commit: str) -> bool:
    return _git(folder, "cat-file", "-e", f"{commit}^{{commit}}").returncode == 0


def _fetch(url: str, commit: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["git", "init", "--quiet", str(folder)], check=True)
    command = ["git", "-C", str(folder), "fetch", "--quiet", "--depth", "1", url, commit]
    fetched = subprocess.run(command, capture_output=True, text=True, check=False)
    if fetched.returncode:
        pytest.skip(
            f"{url} cannot be fetched ({fetched.stderr.strip()}): name a folder that has it in SPARK_FS_TEST_COMPAT"
        )
