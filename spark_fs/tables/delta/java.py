"""Find Java and say in one line what is missing.

Run as a module it checks and exits; it needs no other package.
"""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from spark_fs.errors import SetupError

MINIMUM_VERSION = 17
INSTALL_HINT = (
    "Install Java 17 (Debian, Ubuntu: apt-get install openjdk-17-jre-headless) and, if several are"
    " installed, set JAVA_HOME."
)


@dataclass(frozen=True)
class JavaProgram:
    """The Java that Spark will start, and what it says of its version."""

    path: str
    major: int
    version_text: str


def find_java() -> JavaProgram:
    """The Java that Spark will start.

    SetupError when there is none, or an older one than 17.
    """
    home = os.environ.get("JAVA_HOME")
    if home:
        java: str | None = str(Path(home) / "bin" / "java")
        searched = f"JAVA_HOME={home}"
    else:
        java = shutil.which("java")
        searched = "PATH"
    if java is None or not Path(java).exists():
        raise SetupError(
            f"Spark needs Java {MINIMUM_VERSION} and none was found by {searched}. {INSTALL_HINT}"
        )
    run = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
    match = re.search(r'version "(?:1\.)?(\d+)', run.stderr)
    major = int(match[1]) if match else 0
    if major < MINIMUM_VERSION:
        raise SetupError(
            f"Spark needs Java {MINIMUM_VERSION}, but {java} is version {major or 'unknown'}."
            f" {INSTALL_HINT}"
        )
    return JavaProgram(java, major, run.stderr)


if __name__ == "__main__":
    try:
        find_java()
    except SetupError as error:
        sys.exit(str(error))
