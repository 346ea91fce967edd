"""Delta's two jars, Avro's and a JDBC driver: resolved once from Maven by Spark's own resolver, then taken from a cache.

The wheel of delta-spark holds no jars. Of the thirty-two that resolve with it, these two are enough; the others
are in Spark already or serve features that are not used. Spark's Avro is a jar of its own, for training data in that format. The driver
reads MySQL and MariaDB for external feature groups.
"""

import os
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import pyspark

from spark_fs.errors import SetupError
from spark_fs.offline.java import require_java

_ARTIFACTS = ("delta-spark_4.2_2.13", "delta-storage")
_OTHERS = "org.*:*,com.*:*,net.*:*,jakarta.*:*,javax.*:*,io.unitycatalog:*,io.delta:delta-kernel*"
_AVRO, _AVROS_OTHERS = "spark-avro_2.13", "org.tukaani:*,org.slf4j:*,org.scala-lang:*,org.apache.spark:spark-tags_2.13"
_DRIVER, _DRIVER_VERSION = "mariadb-java-client", "3.5.11"
_DRIVERS_OTHERS = "com.*:*,net.*:*,org.slf4j:*,org.checkerframework:*,software.*:*"


def cache_folder() -> Path:
    """``SPARK_FS_JARS``, or ``spark_fs/jars`` in the user's cache folder."""
    given = os.environ.get("SPARK_FS_JARS")
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(given) if given else base / "spark_fs" / "jars"


def needed_jars() -> list[Path]:
    """Paths of Delta's jars, Avro's and the JDBC driver, resolved from Maven the first time; SetupError when they cannot be had."""
    delta = version("delta-spark")
    folder = cache_folder()
    jars = [folder / f"io.delta_{name}-{delta}.jar" for name in _ARTIFACTS]
    if not all(jar.exists() for jar in jars):
        _resolve(f"io.delta:{_ARTIFACTS[0]}:{delta}", jars, _OTHERS)
    avro = folder / f"org.apache.spark_{_AVRO}-{pyspark.__version__}.jar"
    if not avro.exists():
        _resolve(f"org.apache.spark:{_AVRO}:{pyspark.__version__}", [avro], _AVROS_OTHERS)
    driver = folder / f"org.mariadb.jdbc_{_DRIVER}-{_DRIVER_VERSION}.jar"
    if not driver.exists():
        _resolve(f"org.mariadb.jdbc:{_DRIVER}:{_DRIVER_VERSION}", [driver], _DRIVERS_OTHERS)
    return [*jars, avro, driver]


def _resolve(package: str, jars: list[Path], others: str) -> None:
    require_java()
    folder = jars[0].parent
    folder.mkdir(parents=True, exist_ok=True)
    home = Path(pyspark.__file__).parent
    with tempfile.TemporaryDirectory(dir=folder) as work:
        nothing = Path(work) / "nothing.py"
        nothing.touch()
        command = [home / "bin" / "spark-submit", "--conf", f"spark.jars.ivy={work}", "--packages", package]
        env = os.environ | {"SPARK_HOME": str(home), "PYSPARK_PYTHON": sys.executable}
        run = subprocess.run(
            [*map(str, command), "--exclude-packages", others, str(nothing)], env=env, capture_output=True, text=True, check=False
        )
        found = {path.name: path for path in Path(work, "jars").glob("*.jar")}
        missing = [jar.name for jar in jars if jar.name not in found]
        if run.returncode or missing:
            log = folder / "resolve.log"
            log.write_text(run.stdout + run.stderr)
            raise SetupError(
                f"{', '.join(missing)} could not be resolved from Maven Central; the resolver's output is in {log}. "
                f"Check the network, or copy the jars into {folder} yourself."
            )
        for jar in jars:
            found[jar.name].rename(jar)
