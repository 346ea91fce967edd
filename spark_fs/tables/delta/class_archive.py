"""An archive of the JVM's classes, with which Spark starts for a third less work.

Java finds, reads and checks some 20,000 classes in 280 jars whenever Spark starts. It can write
those that a process used into one file when the process ends (class data sharing), and later ones
map that file. Java itself passes over a file that was made by another Java or of other jars.
"""

import hashlib
import os
import shlex
import stat
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pyspark

from spark_fs.base import private_files
from spark_fs.errors import SetupError, get_first_line
from spark_fs.tables.delta.java import JavaProgram

_SUBMIT_OPTIONS = "SPARK_SUBMIT_OPTS"  # Spark's own variable: options of each JVM that it starts
# Java tells of each class that it leaves out, and of an archive that it passes over.
_QUIET = ("-Xlog:cds=off", "-Xlog:cds+dynamic=off")


def list_archive_options(java: JavaProgram) -> list[str]:
    """The options by which Java starts with the archive; none where there is no archive.

    Nor where others may write to it: who can, runs code in each process that starts Spark.

    Args:
        java: the Java that will be started.
    """
    archive = get_archive(java)
    if not _is_own(archive):
        return []
    return [shlex.quote(f"-XX:SharedArchiveFile={archive}"), *_QUIET]


def make_archive(java: JavaProgram, arguments: Sequence[str]) -> Path:
    """Run a program in a new Python process, and keep the classes that its JVM used.

    Args:
        java: the Java that Spark starts.
        arguments: of Python: a program that starts Spark, and waits for the end of its JVM.

    Returns:
        The archive, in the place of one that was there.

    Raises:
        SetupError: the program failed, or Java wrote no archive.
    """
    archive = get_archive(java)
    private_files.make_folder(archive.parent)
    with tempfile.TemporaryDirectory(dir=archive.parent) as folder:
        made = Path(folder) / archive.name
        options = [shlex.quote(f"-XX:ArchiveClassesAtExit={made}"), *_QUIET]
        environment = {**os.environ, _SUBMIT_OPTIONS: " ".join(options)}
        done = subprocess.run(
            [sys.executable, *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            reason = get_first_line(done.stderr.strip().rpartition("\n")[2])
            raise SetupError(f"The classes of Spark could not be archived: {reason}")
        if not made.exists():
            raise SetupError(
                f"{java.path} wrote no archive of classes. It may lack its own: run {java.path}"
                " -Xshare:dump, or use another Java."
            )
        made.replace(archive)
    return archive


def get_archive(java: JavaProgram) -> Path:
    """Where the archive of this Java and this pyspark is, or will be.

    In the user's own cache folder, never in one that is shared.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    parts = (java.path, java.version_text, pyspark.__version__, str(Path(pyspark.__file__).parent))
    key = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
    return cache / "spark_fs" / "classes" / f"{key}.jsa"


def _is_own(path: Path) -> bool:
    try:
        found = path.stat()
    except OSError:
        return False
    shared_bits = stat.S_IWGRP | stat.S_IWOTH
    return found.st_uid == os.getuid() and not found.st_mode & shared_bits
