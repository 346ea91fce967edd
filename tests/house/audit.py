"""Known vulnerabilities in what requirements.lock names, by pip-audit; from ``make audit``.

Exit code 1 where there is one. Where no database of advisories can be reached nothing was audited, and that is said.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "requirements.lock"
# Advisories that do not concern us, each with its reason: {"GHSA-...": "why"}.
ACCEPTED: dict[str, str] = {}


def main() -> None:
    """Ask, and say what came of it."""
    command = [
        sys.executable,
        "-m",
        "pip_audit",
        "--disable-pip",
        "--no-deps",
        "--requirement",
        str(LOCK),
        "--format",
        "json",
        "--progress-spinner",
        "off",
    ]
    command += [word for advisory in ACCEPTED for word in ("--ignore-vuln", advisory)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        found = json.loads(done.stdout)["dependencies"]
    except (subprocess.TimeoutExpired, ValueError, KeyError):
        print("pip-audit: NOT AUDITED, no database of advisories could be reached")
        return
    locked = len(re.findall(r"^[a-z0-9._-]+==", LOCK.read_text(), re.MULTILINE | re.IGNORECASE))
    audited = [each for each in found if "skip_reason" not in each]
    for each in audited:
        for known in each["vulns"]:
            print(
                f"{each['name']} {each['version']}: {known['id']}, mended in"
                f" {', '.join(known['fix_versions']) or 'no version yet'}"
            )
    if any(each["vulns"] for each in audited):
        sys.exit(
            "pip-audit: upgrade these (make lock), or say in tests/house/audit.py why they do not"
            " concern this project"
        )
    if not audited:
        print(f"pip-audit: NOT AUDITED, the database that answers knows none of {locked} packages")
        return
    print(f"pip-audit: no known vulnerability in {len(audited)} of {locked} packages")


if __name__ == "__main__":
    main()
