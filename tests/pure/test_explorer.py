"""The explorer in this process: who is let in, and that no page starts Spark."""

import base64
import json
import re
from pathlib import Path

import pytest

import spark_fs
from spark_fs.api.feature_store import FeatureStore
from spark_fs.report.page import build_security_policy
from spark_fs.server.explorer import build_explorer_app
from spark_fs.server.guard import get_host_names

from serving import ask, served, store

TOKEN = "a-token-of-many-letters"


@pytest.fixture(scope="module")
def fs(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    """A store with a group whose rows only Spark can read: one was deleted by a vector."""
    home = tmp_path_factory.mktemp("explored")
    found = store(home)
    group = found.create_feature_group(
        "shops",
        primary_key=["shop"],
        features=[spark_fs.Feature("shop", "string"), spark_fs.Feature("n", "bigint")],
    )
    found.create_feature_view("shops", group.select_features())
    log = Path(group.location) / "_delta_log"
    log.mkdir(parents=True)
    vector = {
        "storageType": "u",
        "pathOrInlineDv": "ab^-aqEH.-t@S}K{vb[*k^",
        "offset": 4,
        "sizeInBytes": 40,
        "cardinality": 1,
    }
    actions = [
        {
            "commitInfo": {
                "timestamp": 1_700_000_000_000,
                "inCommitTimestamp": 1_700_000_000_000,
                "operation": "WRITE",
            }
        },
        {
            "add": {
                "path": "a.parquet",
                "size": 1,
                "partitionValues": {},
                "dataChange": True,
                "stats": '{"numRecords": 2}',
                "deletionVector": vector,
            }
        },
    ]
    (log / f"{0:020d}.json").write_text("".join(json.dumps(action) + "\n" for action in actions))
    return found


def test_no_page_starts_spark(fs: FeatureStore) -> None:
    with served(build_explorer_app(fs)) as port:
        for path in ("/", "/lineage", "/group/shops/1", "/view/shops/1"):
            status, _, headers = ask(port, path=path)
            assert status == 200
            assert headers["content-security-policy"] == build_security_policy()
            assert headers["x-content-type-options"] == "nosniff"
        assert "No rows to show without Spark." in ask(port, path="/group/shops/1")[1]


def test_the_browser_asks_for_the_token(fs: FeatureStore) -> None:
    with served(build_explorer_app(fs, token=TOKEN)) as port:
        status, page, headers = ask(port)[0], *ask(port, path="/")[1:]
        assert status == 401
        assert "This server asks for a token" in page
        assert "shops" not in page
        assert headers["content-security-policy"] == build_security_policy()
        assert any(re.match("Basic ", each) for each in headers.get_all("www-authenticate"))
        given = base64.b64encode(f"me:{TOKEN}".encode()).decode()
        assert ask(port, path="/", Authorization=f"Basic {given}")[0] == 200


def test_wrong_names_and_numbers_are_mistakes_of_who_asks(fs: FeatureStore) -> None:
    with served(build_explorer_app(fs, names=get_host_names("127.0.0.1"))) as port:
        for path in (
            "/group/nope/1",
            "/group/shops/2",
            "/group/shops/0",
            "/group/shops/-1",
            "/group/SHOPS/1",
            "/group/%00/1",
            "/group/%ED%A0%80/1",
            f"/group/{'x' * 5_000}/1",
            f"/group/shops/{10**30}",
            "/view/nope/1",
            "/view/%F0%9F%98%80/1",
            "/group/%3Cscript%3Ealert(1)/1",
            "/nowhere",
        ):
            status, page, _ = ask(port, path=path)
            assert status == 404, path
            assert "<script>alert" not in str(page), path
        assert ask(port, path="/group/shops/one")[0] == 422
        assert ask(port, path="/", Host="evil.example")[0] == 400
        assert ask(port, {"a": 1}, path="/")[0] in (405, 413)


def test_a_store_that_is_away_tells_no_host_and_no_user(fs: FeatureStore, tmp_path: Path) -> None:
    away = store(tmp_path)
    assert away.get_feature_groups() == []
    (tmp_path / "catalog.db").write_bytes(b"not a database at all" * 100)
    away._stores.catalog._access.engine.dispose()
    with served(build_explorer_app(away)) as port:
        status, page, _ = ask(port, path="/")
        assert status in (500, 503)
        assert "catalog.db" not in page
        assert "the log of the program has why" in page
