"""Make the pictures of the explorer anew, over the store of ``make demo``: ``make images``.

It needs Chromium and the packages of ``make setup``.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

FOLDER = Path(__file__).parent
HOME = FOLDER.parents[1] / ".demo"
# Each picture: the page, the width and height of the window, light or dark.
PICTURES = {
    "group.png": ("/group/flight_delays/1#features=hour", 1280, 960, "light"),
    "view.png": ("/view/late_arrivals/1", 1280, 960, "light"),
    "lineage.png": ("/lineage", 1280, 420, "light"),
    "dark.png": ("/group/weather/1#features=temp", 1280, 960, "dark"),
}


def main() -> None:
    """Start the explorer over the demo's store, and take every picture."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None or not HOME.exists():
        sys.exit(
            "Install Chromium and run `make demo` first: the pictures are of its store."
        )
    command = [sys.executable, "-m", "spark_fs.cli", "ui", "--port", "0"]
    environment = {"SPARK_FS_HOME": str(HOME), "PATH": "/usr/bin:/bin"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=environment
    ) as explorer:
        assert explorer.stdout
        found = re.search(r"http://\S+/", explorer.stdout.readline())
        assert found
        try:
            with sync_playwright() as played:
                browser = played.chromium.launch(
                    executable_path=chromium, args=["--no-sandbox"]
                )
                for name in PICTURES:
                    take(browser, found[0].rstrip("/"), name)
                browser.close()
        finally:
            explorer.terminate()


def take(browser: Any, address: str, name: str) -> None:
    """Take one picture, from the top of the page but where its address names a feature."""
    path, width, height, scheme = PICTURES[name]
    page = browser.new_page(
        viewport={"width": width, "height": height}, color_scheme=scheme
    )
    page.goto(address + path)
    page.wait_for_timeout(500)  # until the page has scrolled to what its address names
    page.screenshot(path=FOLDER / name)
    page.close()


if __name__ == "__main__":
    main()
