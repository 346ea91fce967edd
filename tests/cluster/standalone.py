"""A Spark standalone cluster of our own on loopback: a master and two workers, each a process with its own folder.

    tests/cluster/standalone.py up | down | submit JOB ARGUMENTS...

``up`` writes what there is into .cluster/cluster.json; run twice it leaves the cluster as it is. The workers' Python has the libraries that
spark_fs needs and not spark_fs itself: that comes with each job, as the wheel that ``up`` builds, and the pipelines as a zip.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".cluster"
_BIN = Path(sys.executable).parent
_STARTED: list["subprocess.Popen[bytes]"] = []
WORKERS, CORES, MEMORY = 2, 1, "3g"


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


class Cluster:
    """The cluster in a folder."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self.folder = folder
        self._facts = folder / "cluster.json"

    @property
    def facts(self) -> dict[str, Any]:
        """The master's URL, its page, and the processes; empty where it is not up."""
        found: dict[str, Any] = json.loads(self._facts.read_text()) if self._facts.exists() else {}
        return found if found and all(_lives(pid) for pid in found["pids"]) else {}

    @property
    def url(self) -> str:
        """What spark-submit takes for its master."""
        return str(self.facts["url"])

    def up(self) -> None:
        """Build the wheel, start the processes, and wait until the workers are known to the master."""
        if self.facts:
            return
        self.down()
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self._ship()
        port, page = free_port(), free_port()
        url = f"spark://127.0.0.1:{port}"
        at = ["--host", "127.0.0.1"]
        pids = [
            self._start(
                "master", "master.Master", *at, "--port", str(port), "--webui-port", str(page)
            )
        ]
        for number in range(1, WORKERS + 1):
            own = self.folder / f"worker-{number}"
            sizes = [
                "--cores",
                str(CORES),
                "--memory",
                MEMORY,
                "--work-dir",
                str(own),
                "--webui-port",
                "0",
            ]
            pids.append(self._start(f"worker-{number}", "worker.Worker", *at, *sizes, url))
        self._facts.write_text(
            json.dumps({"url": url, "page": f"http://127.0.0.1:{page}", "pids": pids})
        )
        for _ in range(120):
            if self.alive() == WORKERS:
                return
            time.sleep(0.5)
        raise SystemExit(f"The workers did not come up; their logs are in {self.folder}.")

    def down(self) -> None:
        """End the processes."""
        if self._facts.exists():
            for pid in reversed(json.loads(self._facts.read_text())["pids"]):
                if _lives(pid):
                    os.kill(pid, signal.SIGTERM)
                    _gone(pid)
            self._facts.unlink()
            while _STARTED:
                _STARTED.pop().wait()

    def alive(self) -> int:
        """How many workers the master knows."""
        try:
            with urllib.request.urlopen(f"{self.facts['page']}/json/", timeout=5) as answer:
                return int(json.load(answer)["aliveworkers"])
        except (OSError, ValueError):  # not there yet, or there and without its answers yet
            return 0

    def command(self, *job: str) -> list[str]:
        """The spark-submit of a job."""
        shipped = ",".join(map(str, sorted((self.folder / "dist").iterdir())))
        return [
            str(_BIN / "spark-submit"),
            "--master",
            self.url,
            "--jars",
            _jars(),
            "--py-files",
            shipped,
            *job,
        ]

    def environment(self, more: Mapping[str, str]) -> dict[str, str]:
        """The variables of a job: the settings for a standalone cluster, and the workers' Python."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("SPARK_FS_") or name == "SPARK_FS_JARS"
        }
        pythons = {
            "PYSPARK_PYTHON": str(self.folder / "python" / "bin" / "python"),
            "PYSPARK_DRIVER_PYTHON": sys.executable,
        }
        return {**kept, "SPARK_CONF_DIR": str(ROOT / "conf" / "standalone"), **pythons, **more}

    def _ship(self) -> None:
        dist, source = self.folder / "dist", self.folder / "source"
        shutil.copytree(
            ROOT / "spark_fs", source / "spark_fs", ignore=shutil.ignore_patterns("__pycache__")
        )  # so that two may build at once
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(ROOT / name, source)
        build = [
            sys.executable,
            "-m",
            "build",
            "--wheel",
            "--no-isolation",
            "--outdir",
            dist,
            source,
        ]
        subprocess.run(build, check=True, cwd=self.folder, stdout=subprocess.DEVNULL)
        (wheel,) = dist.glob("*.whl")
        wheel.rename(
            dist / "spark_fs.zip"
        )  # Spark puts .zip files on the workers' path, and leaves .whl files aside
        with zipfile.ZipFile(dist / "jobs.zip", "w") as jobs:
            for file in sorted((ROOT / "jobs").glob("*/*.py")):
                jobs.write(file, file.relative_to(ROOT / "jobs"))
        subprocess.run(
            [sys.executable, "-m", "venv", "--without-pip", self.folder / "python"], check=True
        )
        (site,) = (self.folder / "python" / "lib").glob("python*/site-packages")
        (libraries,) = (Path(sys.prefix) / "lib").glob("python*/site-packages")
        site.joinpath("libraries.pth").write_text(
            f"{libraries}\n"
        )  # whose own .pth files, by which spark_fs is installed, are not read

    def _start(self, name: str, role: str, *arguments: str) -> int:
        import pyspark  # noqa: PLC0415 # only where a cluster is started

        home = Path(pyspark.__file__).parent
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("SPARK_FS_", "PYSPARK", "PYTHON"))
        }
        local = self.folder / f"{name}-local"
        env = {
            **kept,
            "SPARK_HOME": str(home),
            "SPARK_LOCAL_DIRS": str(local),
            "SPARK_NO_DAEMONIZE": "1",
            "SPARK_LOCAL_IP": "127.0.0.1",
        }
        command = [str(home / "bin" / "spark-class"), f"org.apache.spark.deploy.{role}", *arguments]
        with (self.folder / f"{name}.log").open("w") as log:
            process = subprocess.Popen(
                command, env=env, stdout=log, stderr=log, cwd=self.folder, start_new_session=True
            )
        _STARTED.append(process)  # it outlives this object, and in a test is ended by ``down``
        return process.pid


def submit(arguments: Sequence[str]) -> int:
    """Run a job on the cluster that is up."""
    cluster = Cluster()
    if not cluster.facts:
        raise SystemExit("No cluster is up: start it with make cluster-up.")
    settings = {name: value for name, value in os.environ.items() if name.startswith("SPARK_FS_")}
    return subprocess.run(
        cluster.command(*arguments), env=cluster.environment(settings), check=False
    ).returncode


class Alone:
    """This machine alone, asked for the same as a cluster."""

    def command(self, *job: str) -> list[str]:
        """The spark-submit of a job."""
        return [str(_BIN / "spark-submit"), "--jars", _jars(), *job]

    def environment(self, more: Mapping[str, str]) -> dict[str, str]:
        """The variables of a job."""
        return os.environ | {
            "SPARK_CONF_DIR": str(ROOT / "conf" / "local"),
            "PYSPARK_PYTHON": sys.executable,
            **more,
        }


Place = Cluster | Alone


def run(
    place: Place, job: Sequence[str], more: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """A job to its end; one that begins with "python" is a plain program."""
    command = [sys.executable, *job[1:]] if job[0] == "python" else place.command(*job)
    return subprocess.run(
        command, cwd=ROOT, env=place.environment(more), capture_output=True, text=True, check=False
    )


def _jars() -> str:
    return subprocess.run(
        [_BIN / "spark-fs", "jars"], check=True, capture_output=True, text=True
    ).stdout.strip()


def _lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def _gone(pid: int) -> None:
    for _ in range(100):
        if not _lives(pid):
            return
        time.sleep(0.1)
    os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["up"]:
            Cluster().up()
            print(f"The cluster is up: {Cluster().url}, its page: {Cluster().facts['page']}")
        case ["down"]:
            Cluster().down()
            print("The cluster is down")
        case ["submit", *arguments] if arguments:
            sys.exit(submit(arguments))
        case _:
            sys.exit(f"usage: {sys.argv[0]} up | down | submit JOB ARGUMENTS...")
