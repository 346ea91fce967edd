"""Packages of Debian's suite sid in a folder, for a program that the machine's own suite has not: nothing else of the machine changes.

The program is started by the loader and with the libraries of that folder, so that it meets the C library that it was built for.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

_ARCHIVE = re.compile(
    r"'(\S+)/dists/([a-z]+)/InRelease'"
)  # not one of updates or of security, whose names go on
_KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"
_INDEXES = ["Acquire::Languages=none", "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false"]


class NotToBeHadError(Exception):
    """The packages cannot be had on this machine; the text says why."""


def unpack(package: str, folder: Path) -> None:
    """Fetch a package of sid with all that it needs, and unpack it into a folder."""
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise NotToBeHadError("this is no Debian: apt-get and dpkg-deb are not there")
    private, made = folder.with_name("apt"), folder.with_name("unpacking")
    for each in (private, made):
        shutil.rmtree(each, ignore_errors=True)
    (private / "state" / "lists" / "partial").mkdir(parents=True)
    (private / "cache" / "archives" / "partial").mkdir(parents=True)
    (private / "state" / "status").touch()  # nothing is installed, so that everything is fetched
    (private / "sources.list").write_text(f"deb [signed-by={_KEYS}] {_archive()} sid main\n")
    _apt_get(private, "update")
    _apt_get(private, "install", "--yes", "--download-only", "--no-install-recommends", package)
    for archive in (private / "cache" / "archives").glob("*.deb"):
        _run("dpkg-deb", "--extract", str(archive), str(made))
    made.rename(folder)
    shutil.rmtree(private)


def command(folder: Path, program: str) -> list[str]:
    """The command by which a program of such a folder runs."""
    (loader,) = (folder / "usr" / "lib").glob("*/ld-linux-*.so.*")
    return [str(loader), "--library-path", str(loader.parent), str(folder / program)]


def _archive() -> str:
    """Where the machine's own apt finds Debian; it is asked, since sources are written in several ways."""
    found = _ARCHIVE.findall(_run("apt-get", "--print-uris", "-o", "Debug::NoLocking=1", "update"))
    if not found:
        raise NotToBeHadError("the machine's apt names no archive of Debian")
    return str(found[0][0])


def _apt_get(private: Path, *words: str) -> None:
    """apt-get with its own state and sources; how the machine reaches the network stays as it is configured."""
    own = {
        "State": private / "state",
        "State::status": private / "state" / "status",
        "Cache": private / "cache",
    }
    own |= {"Etc::SourceList": private / "sources.list", "Etc::SourceParts": Path("/dev/null")}
    own |= {"Etc::Preferences": Path("/dev/null"), "Etc::PreferencesParts": Path("/dev/null")}
    settings = [*(f"Dir::{name}={path}" for name, path in own.items()), *_INDEXES]
    _run("apt-get", "--quiet=2", *(word for each in settings for word in ("-o", each)), *words)


def _run(*command: str) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"}
    )
    if done.returncode:
        raise NotToBeHadError(
            f"{' '.join(command[:1] + command[-2:])} failed: {done.stderr.strip()[-500:]}"
        )
    return done.stdout
