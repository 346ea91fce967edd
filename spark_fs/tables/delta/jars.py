"""Delta's two jars, Avro's and a JDBC driver: resolved once from Maven, then taken from a cache.

Spark's own resolver does it. The wheel of delta-spark holds no jars. Of the thirty-two that resolve
with it, these two are enough; the others are in Spark already or serve features that are not used.
Spark's Avro is a jar of its own, for training data in that format. The driver reads MySQL and
MariaDB for external feature groups. Each is compared with the digest that this code knows of it,
whenever it is used: whoever could change a jar would run code in every process that starts Spark.
"""

import hashlib
import os
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import pyspark

from spark_fs.base import private_files
from spark_fs.errors import SetupError
from spark_fs.tables.delta.java import find_java

_DELTA_ARTIFACTS = ("delta-spark_4.2_2.13", "delta-storage")
_DELTA_EXCLUDES = (
    "org.*:*,com.*:*,net.*:*,jakarta.*:*,javax.*:*,io.unitycatalog:*,io.delta:delta-kernel*"
)
_AVRO_ARTIFACT = "spark-avro_2.13"
_AVRO_EXCLUDES = "org.tukaani:*,org.slf4j:*,org.scala-lang:*,org.apache.spark:spark-tags_2.13"
_DRIVER_ARTIFACT = "mariadb-java-client"
_DRIVER_VERSION = "3.5.11"
_DIGESTS = {  # SHA-256 of the files that Maven Central has
    "io.delta_delta-spark_4.2_2.13-4.4.0.jar": (
        "27d4fd8b1f879535c573ed1c718177d6a27f24d3e626ba02e216369725721ead"
    ),
    "io.delta_delta-storage-4.4.0.jar": (
        "c46735481fa8e326b0957be02b4420cbcab4b325bb08009b7f2045a95133f1cc"
    ),
    "org.apache.spark_spark-avro_2.13-4.2.0.jar": (
        "4c186cedc03cbe4ee356a94b32232b347ef48611c3209400b3a77e4fe4abff4f"
    ),
    "org.mariadb.jdbc_mariadb-java-client-3.5.11.jar": (
        "42604178b9e57ec08ee0035079961516f086e455d0141f0b22c6eff29fb2fff4"
    ),
}
_DRIVER_EXCLUDES = "com.*:*,net.*:*,org.slf4j:*,org.checkerframework:*,software.*:*"


def get_cache_folder() -> Path:
    """``SPARK_FS_JARS``, or ``spark_fs/jars`` in the user's cache folder."""
    chosen = os.environ.get("SPARK_FS_JARS")
    if chosen:
        return Path(chosen)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "spark_fs" / "jars"


def resolve_jars() -> list[Path]:
    """Paths of Delta's jars, Avro's and the JDBC driver, resolved from Maven the first time.

    Raises SetupError when they cannot be had, or are not those that this code knows.
    """
    delta = version("delta-spark")
    folder = get_cache_folder()
    jars = [folder / f"io.delta_{name}-{delta}.jar" for name in _DELTA_ARTIFACTS]
    if not all(jar.exists() for jar in jars):
        _resolve_from_maven(f"io.delta:{_DELTA_ARTIFACTS[0]}:{delta}", jars, _DELTA_EXCLUDES)
    avro = folder / f"org.apache.spark_{_AVRO_ARTIFACT}-{pyspark.__version__}.jar"
    if not avro.exists():
        package = f"org.apache.spark:{_AVRO_ARTIFACT}:{pyspark.__version__}"
        _resolve_from_maven(package, [avro], _AVRO_EXCLUDES)
    driver = folder / f"org.mariadb.jdbc_{_DRIVER_ARTIFACT}-{_DRIVER_VERSION}.jar"
    if not driver.exists():
        package = f"org.mariadb.jdbc:{_DRIVER_ARTIFACT}:{_DRIVER_VERSION}"
        _resolve_from_maven(package, [driver], _DRIVER_EXCLUDES)
    resolved = [*jars, avro, driver]
    for jar in resolved:
        check_digest(jar, jar.name)
    return resolved


def check_digest(path: Path, name: str) -> None:
    """SetupError unless a file is the jar of this name, byte by byte."""
    expected = _DIGESTS.get(name)
    if expected is None:
        raise SetupError(
            f"No digest is known of the jar {name}, so it is not used: install the versions of"
            f" pyspark and delta-spark of {', '.join(sorted(_DIGESTS))}."
        )
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != expected:
        raise SetupError(
            f"The jar {path} is not the one that was published: its SHA-256 is {digest}, and should"
            f" be {expected}. It was not used. Find out who changed it, then remove it: it is"
            " resolved from Maven Central again."
        )


def _resolve_from_maven(package: str, jars: list[Path], excludes: str) -> None:
    find_java()
    folder = jars[0].parent
    private_files.make_folder(folder)
    with tempfile.TemporaryDirectory(dir=folder) as work:
        run = _run_resolver(package, excludes, Path(work))
        downloaded = {path.name: path for path in Path(work, "jars").glob("*.jar")}
        missing = [jar.name for jar in jars if jar.name not in downloaded]
        if run.returncode or missing:
            log = folder / "resolve.log"
            private_files.make_file(log)
            log.write_text(run.stdout + run.stderr)
            raise SetupError(
                f"{', '.join(missing)} could not be resolved from Maven Central; the resolver's"
                f" output is in {log}. Check the network, or copy the jars into {folder} yourself."
            )
        for jar in jars:
            check_digest(downloaded[jar.name], jar.name)
            downloaded[jar.name].rename(jar)


def _run_resolver(package: str, excludes: str, work: Path) -> subprocess.CompletedProcess[str]:
    """Let Spark resolve a package into a folder, by a program that does nothing else."""
    home = Path(pyspark.__file__).parent
    nothing = work / "nothing.py"
    nothing.touch()
    command = [str(home / "bin" / "spark-submit"), "--conf", f"spark.jars.ivy={work}"]
    command += ["--packages", package, "--exclude-packages", excludes, str(nothing)]
    env = os.environ | {"SPARK_HOME": str(home), "PYSPARK_PYTHON": sys.executable}
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)
