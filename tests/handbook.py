"""The simulated transactions of the Fraud Detection Handbook, as they are and with its features.

The files are its own (https://github.com/Fraud-Detection-Handbook): they are fetched when a test asks for them, kept
in ``.handbook``, and never part of this repository. Where GitHub cannot be reached, SPARK_FS_TEST_HANDBOOK
names a folder with clones of the two repositories, ``raw`` and ``transformed``, at the commits below.

They are pickles, which run what is in them when they are read: each is compared with its digest first.
"""

import hashlib
import os
import urllib.error
import urllib.request
from io import BytesIO
from pathlib import Path

import pandas as pd
import pytest

COMMITS = {
    "raw": "6e67dbd0a3bfe0d7ec33abc4bce5f37cd4ff0d6a",
    "transformed": "6e3ca5849b4681430388056d3f1dcfb41d4e8269",
}
URL = "https://raw.githubusercontent.com/Fraud-Detection-Handbook/simulated-data"
DIGESTS = Path(__file__).with_suffix(".sha256")  # of what is read, as sha256sum -c takes it
KEPT = Path(__file__).parents[1] / ".handbook"
GIVEN = os.environ.get("SPARK_FS_TEST_HANDBOOK")  # a fixture hides it from what is tested


def read_days(kind: str) -> pd.DataFrame:
    """The transactions of the days that are listed, ``raw`` or ``transformed``, named in lower case.

    The test that asks for them is skipped where they cannot be had.
    """
    days = [_read_file(name, digest) for name, digest in _list_files(kind)]
    return pd.concat(days, ignore_index=True).rename(columns=str.lower)


def _list_files(kind: str) -> list[tuple[str, str]]:
    files = []
    for line in DIGESTS.read_text().splitlines():
        digest, name = line.split()
        if name.startswith(f"{kind}/"):
            files.append((name, digest))
    return files


def _read_file(name: str, digest: str) -> pd.DataFrame:
    content = _load_file(name)
    found = hashlib.sha256(content).hexdigest()
    assert found == digest, f"{name} is not the file of the pinned commit: it is not opened"
    return pd.read_pickle(BytesIO(content))


def _load_file(name: str) -> bytes:
    file = Path(GIVEN or KEPT) / name
    if file.exists():
        return file.read_bytes()
    if GIVEN:
        pytest.skip(f"SPARK_FS_TEST_HANDBOOK names {GIVEN}, which has no {name}")
    content = _fetch_file(name)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return content


def _fetch_file(name: str) -> bytes:
    kind, path = name.split("/", 1)
    url = f"{URL}-{kind}/{COMMITS[kind]}/{path}"
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:
            content: bytes = answer.read()
    except urllib.error.URLError as error:
        pytest.skip(
            f"{url} cannot be fetched ({error}): name a folder that has clones of simulated-data-raw"
            " and -transformed, raw and transformed, in SPARK_FS_TEST_HANDBOOK"
        )
    return content
