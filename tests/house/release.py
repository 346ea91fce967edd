"""Build a release and use it as a stranger would: from ``make release``.

Wheel and sdist are built, each is installed into an empty environment, and from there, outside of this folder, a new project runs: its pipeline, its
test, its runs. With --demo the flights of New York run there too, by the jobs of the sdist.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".release"
UV = ROOT / ".venv" / "bin" / "uv"


def run(*command: str | Path, cwd: Path = FOLDER, env: dict[str, str] | None = None) -> str:
    """A command's output; its end, and ours, where it fails."""
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SPARK_FS_", "PYTHON", "VIRTUAL_ENV")) or name == "SPARK_FS_JARS"
    }
    done = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env={**clean, **(env or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(
            f"{' '.join(map(str, command))} failed:\n{done.stdout[-3_000:]}{done.stderr[-3_000:]}"
        )
    return done.stdout


def built() -> tuple[Path, Path]:
    """The wheel and the sdist, which hold what they should."""
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", FOLDER / "dist", ROOT)
    (wheel,), (sdist,) = (FOLDER / "dist").glob("*.whl"), (FOLDER / "dist").glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as packed:
        inside = packed.namelist()
    here = {
        str(file.relative_to(ROOT))
        for file in (ROOT / "spark_fs").rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    if missing := here - set(inside):
        sys.exit(f"The wheel lacks {sorted(missing)}")
    if strange := [name for name in inside if not name.startswith(("spark_fs/", "spark_fs-"))]:
        sys.exit(f"The wheel holds {strange}")
    with tarfile.open(sdist) as archive:
        outside = {name.partition("/")[2] for name in archive.getnames()}
    if (
        missing := {
            "jobs/run_pipeline.py",
            "jobs/flights/demo.py",
            "conf/local/spark-defaults.conf",
            "conf/pipelines/flights.yaml",
            "CHANGELOG.md",
            "LICENSE",
        }
        - outside
    ):
        sys.exit(f"The sdist lacks {sorted(missing)}")
    return wheel, sdist


def installed(name: str, package: Path) -> Path:
    """The folder of programs of an empty environment with one package, and what it requires by the lock."""
    place = FOLDER / name
    run(UV, "venv", "--python", sys.executable, place)
    install = [UV, "pip", "install", "--python", place / "bin" / "python"]
    lock = ["--require-hashes", "--constraint", ROOT / "requirements.lock"]
    packages = ROOT / ".ci" / "packages" / "test.txt"
    run(*install, "--no-deps", *lock, "--requirement", packages)
    run(*install, "--no-deps", "--no-build-isolation", package)
    version = run(
        place / "bin" / "python",
        "-c",
        "import importlib.metadata, spark_fs; print(spark_fs.__version__,"
        " importlib.metadata.version('spark_fs'), spark_fs.__file__)",
    ).split()
    if version[0] != version[1] or str(place) not in version[2]:
        sys.exit(f"{name}: {version}")
    return place / "bin"


def used(bin_: Path, name: str) -> None:
    """A new project, as the README of its own says."""
    env = {"SPARK_FS_CONFIG": "conf/settings.yaml", "PATH": f"{bin_}:{os.environ['PATH']}"}
    run(bin_ / "spark-fs", "init", name)
    project = FOLDER / name
    for until in ("2024-01-08", "2024-01-09"):
        run(
            bin_ / "spark-fs",
            "run",
            "conf/pipelines/daily.yaml",
            "--until",
            until,
            cwd=project,
            env=env,
        )
    run(bin_ / "python", "-m", "pytest", "-q", cwd=project, env=env)
    if run(bin_ / "spark-fs", "runs", cwd=project, env=env).count("finished") != 2:
        sys.exit("The runs of the new project are not there")


def main() -> None:
    """Build, install, use."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--demo", action="store_true", help="run the flights too")
    options = parser.parse_args()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    wheel, sdist = built()
    print(
        f"built {wheel.name} ({wheel.stat().st_size / 1e6:.1f} MB) and {sdist.name}"
        f" ({sdist.stat().st_size / 1e6:.1f} MB)",
        flush=True,
    )
    bin_ = installed("wheel", wheel)
    used(bin_, "from_wheel")
    print("the wheel, in an empty environment: a new project, two runs, its test", flush=True)
    if options.demo:
        with tarfile.open(sdist) as archive:
            archive.extractall(FOLDER / "source", filter="data")
        (source,) = (FOLDER / "source").iterdir()
        shutil.rmtree(source / "spark_fs")  # so that it is the installed one that runs
        print(
            run(
                bin_ / "python",
                "jobs/flights/demo.py",
                cwd=source,
                env={"PATH": f"{bin_}:{os.environ['PATH']}"},
            ),
            flush=True,
        )
    place = ["--python", bin_ / "python"]
    run(UV, "pip", "install", *place, "--no-deps", "--no-build-isolation", "--reinstall", sdist)
    run(bin_ / "spark-fs", "groups")
    print("the sdist, in its place: built and installed", flush=True)
    shutil.rmtree(FOLDER / "wheel")


if __name__ == "__main__":
    main()
