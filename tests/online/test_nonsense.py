"""Nonsense over HTTP, on each online store: a mistake of the caller, whatever it is."""

from pathlib import Path

import pytest

from spark_fs.server.vector_server import build_vector_app

from conftest import SERVERS, online_store
from serving import filled, served, told_of_nonsense


@pytest.mark.slow
@pytest.mark.parametrize("kind", SERVERS)
def test_nonsense_is_a_mistake_of_the_caller(tmp_path: Path, kind: str) -> None:
    with (
        online_store(kind, tmp_path) as store,
        served(build_vector_app(filled(store), max_entries=5)) as port,
    ):
        told = told_of_nonsense(port, 5_000, 3)
    assert min(told[2], told[4]) > 100
