"""The explorer in this process: who is let in, and that no page starts Spark."""

import base64
import html
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from releases.unpack import unpack

import spark_fs
from spark_fs.api.feature_store import FeatureStore
from spark_fs.report.page import build_security_policy
from spark_fs.report.trends import load_history
from spark_fs.server.authentication import get_host_names
from spark_fs.server.explorer import build_explorer_app
from spark_fs.server.vector_server import build_vector_app
from spark_fs.tables.statistics_files import format_commit_name, list_commits, load_statistics

from conftest import ROOT
from serving import ROWS, SHOPS, ask, put, served, store

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
            f"/view/shops/1/training-dataset/{10**30}",
            "/view/%F0%9F%98%80/1",
            "/group/%3Cscript%3Ealert(1)/1",
            "/nowhere",
        ):
            status, page, _ = ask(port, path=path)
            assert status == 404, path
            assert "<script>alert" not in str(page), path
        status, page, headers = ask(port, path="/group/shops/one")
        assert (status, headers["content-type"]) == (422, "text/html; charset=utf-8")
        assert "version: Input should be a valid integer" in page
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


# -- what there is to find, over the store of a release


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The explorer of a store with groups, views, training datasets, a model and a run."""
    home = tmp_path_factory.mktemp("released")
    unpack(ROOT / "tests" / "releases" / "0.1.0.zip", home)
    with served(build_explorer_app(spark_fs.login({"home": home}).get_feature_store())) as port:
        yield port


def read_data(port: int, path: str) -> tuple[dict[str, Any], str]:
    """The data of a page, and the page."""
    status, page, _ = ask(port, path=path)
    assert status == 200, page
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    assert found
    return json.loads(found[1]), page


@pytest.mark.parametrize(
    ("text", "name", "kind", "href"),
    [
        ("amuont", "amount", "feature", "/group/payments/1#features=amount"),
        ("paymnets", "payments", "feature group", "/group/payments/1"),
        ("served", "served", "feature view", "/view/served/1"),
        ("fraud", "fraud", "model", "/models#models=fraud"),
    ],
)
def test_search_finds_with_typos_and_leads_there(
    port: int, text: str, name: str, kind: str, href: str
) -> None:
    data, page = read_data(port, f"/search?q={text}")
    rows = [row["cells"] for row in data["found"]["rows"]]
    assert [{"text": name, "href": href}, kind] in [cells[:2] for cells in rows]
    assert f'value="{text}"' in page


def test_what_is_searched_for_is_no_markup_and_not_endless(port: int) -> None:
    _, page = read_data(port, "/search?q=%3C/title%3E%3Cscript%3Ealert(1)%3C/script%3E")
    assert "<script>alert" not in page
    assert ask(port, path=f"/search?q={'x' * 201}")[0] == 422
    assert read_data(port, "/search")[0]["found"]["rows"] == []


def test_a_view_says_where_each_feature_comes_from_and_how_to_use_it(port: int) -> None:
    data, page = read_data(port, "/view/fraud/1")
    rows = {row["name"]: row for row in data["features"]}
    assert rows["amount"]["from"] == {
        "text": "payments",
        "href": "/group/payments/1#features=amount",
    }
    assert rows["amount"]["transformation"] == "standard_scaler"
    group, _ = read_data(port, "/group/payments/1")
    (amount,) = [row for row in group["features"] if row["name"] == "amount"]
    assert rows["amount"]["histogram"] == amount["histogram"] != []
    assert "LEFT JOIN LATERAL" in page
    assert "view.init_serving(2)" in page  # the newest training dataset
    links = [row["cells"][0]["href"] for row in data["datasets"]["rows"]]
    assert links == ["/view/fraud/1/training-dataset/1", "/view/fraud/1/training-dataset/2"]


def test_damaged_statistics_cost_their_own_figures_alone(tmp_path: Path) -> None:
    unpack(ROOT / "tests" / "releases" / "0.1.0.zip", tmp_path)
    (folder,) = tmp_path.glob("**/payments_1_statistics")
    commits = sorted(folder.glob("0*.arrow"))
    commits[0].write_bytes(b"no statistics")
    fs = spark_fs.login({"home": tmp_path}).get_feature_store()
    with served(build_explorer_app(fs)) as port:
        points = read_data(port, "/group/payments/1")[0]["nulls_over_time"]["points"]
        assert len(points) == len(commits) - 1
        commits[-1].write_bytes(b"no statistics")
        rows = {row["name"]: row for row in read_data(port, "/view/fraud/1")[0]["features"]}
        assert rows["amount"]["from"]["text"] == "payments"
        assert "histogram" not in rows["amount"]


def test_what_is_shown_over_time_is_what_the_statistics_say(tmp_path: Path) -> None:
    unpack(ROOT / "tests" / "releases" / "0.1.0.zip", tmp_path)
    (folder,) = map(str, tmp_path.glob("**/payments_1_statistics"))
    expected, means = {}, []
    for commit in list_commits(folder):
        statistics = load_statistics(folder, format_commit_name(commit))
        assert statistics
        described = statistics.feature_descriptive_statistics
        nulls = sum(feature.num_null_values for feature in described)
        expected[f"commit {commit}"] = nulls / sum(feature.count for feature in described)
        means.append({feature.feature_name: feature.mean for feature in described})
    history = load_history(folder, 7)
    points = history.build_null_trend()["points"]
    assert {point["name"]: point["value"] for point in points} == expected
    assert all(0 < share < 1 for share in expected.values())
    series = history.list_by_feature()
    for feature in means[0]:
        assert series[feature]["means"] == [each[feature] for each in means], feature
    assert series["note"]["nulls"] == [0.2, 0.2]
    assert series["note"]["means"] == [None, None]
    assert load_history(folder, 1_000_000).commits == [0, 1]


def test_a_lost_file_of_rows_costs_the_rows_alone(tmp_path: Path) -> None:
    unpack(ROOT / "tests" / "releases" / "0.1.0.zip", tmp_path)
    for file in tmp_path.glob("warehouse/payments_1/**/*.parquet"):
        file.unlink()
    fs = spark_fs.login({"home": tmp_path}).get_feature_store()
    with served(build_explorer_app(fs)) as port:
        data, page = read_data(port, "/group/payments/1")
        assert "The rows cannot be read: The data file" in page
        assert "amount" in {row["name"] for row in data["features"]}


def test_a_page_leads_to_other_versions_and_shows_tags_as_json(tmp_path: Path) -> None:
    fs = store(tmp_path)
    for version in (1, 2):
        group = fs.create_feature_group(
            "shops", version, primary_key=["shop"], features=[spark_fs.Feature("shop", "string")]
        )
        fs.create_feature_view("shops", group.select_all(), version=version)
        group.add_tag("owner", {"team": "risk", "paged": True})
    with served(build_explorer_app(fs)) as port:
        for kind in ("group", "view"):
            page = read_data(port, f"/{kind}/shops/2")[1]
            assert f'<dd><a href="/{kind}/shops/1">1</a></dd>' in page
        page = read_data(port, "/group/shops/1")[1]
        assert html.escape('{"team": "risk", "paged": true}', quote=False) in html.unescape(page)
        columns, *_, row = read_data(port, "/")[0]["groups"].values()
        assert "tags" in columns
        assert row[1]["cells"][-1] == 'owner: {"team": "risk", "paged": true}'


def test_the_request_that_a_view_shows_is_one_that_the_server_answers(tmp_path: Path) -> None:
    fs = store(tmp_path)
    group = put(fs, "shops", SHOPS, ROWS, ["shop"])
    fs.create_feature_view("shops", group.select_features())
    with served(build_explorer_app(fs)) as port:
        page = html.unescape(read_data(port, "/view/shops/1")[1])
    found = re.search(r"curl -s localhost:8080(\S+) .*?-d '(.*?)'", page, re.S)
    assert found
    request = json.loads(found[2])
    assert request["entries"] == [{"shop": "..."}]
    request["entries"] = [{"shop": "a"}]
    with served(build_vector_app(fs)) as port:
        status, answer, _ = ask(port, request, found[1])
    assert (status, answer["vectors"][0][:1]) == (200, [1])


def test_every_column_of_every_group_is_listed(port: int) -> None:
    data, _ = read_data(port, "/features")
    rows = [row["cells"] for row in data["listed"]["rows"]]
    assert [
        {"text": "amount", "href": "/group/payments/1#features=amount"},
        "double",
        {"text": "payments, version 1", "href": "/group/payments/1"},
    ] in [cells[:3] for cells in rows]
    home, page = read_data(port, "/")
    columns = home["groups"]["columns"].index("columns")
    counts = [row["cells"][columns] for row in home["groups"]["rows"]]
    assert len(rows) == sum(counts)
    assert f"<dt>columns</dt><dd>{len(rows)}</dd>" in page


def test_a_commit_leads_to_its_statistics(tmp_path: Path) -> None:
    unpack(ROOT / "tests" / "releases" / "0.1.0.zip", tmp_path)
    (folder,) = map(str, tmp_path.glob("**/payments_1_statistics"))
    first = load_statistics(folder, format_commit_name(0))
    newest = load_statistics(folder, format_commit_name(1))
    assert first
    assert newest
    expected = [statistics["amount"].mean for statistics in (first, newest)]
    assert expected[0] != expected[1]
    fs = spark_fs.login({"home": tmp_path}).get_feature_store()
    with served(build_explorer_app(fs)) as port:
        data, _ = read_data(port, "/group/payments/1")
        links = [row["cells"][0] for row in data["commits"]["rows"]]
        assert links[:2] == [3, 2]  # of which there are none
        means = []
        for link in reversed(links[2:]):
            data, page = read_data(port, link["href"].partition("#")[0])
            assert f"Statistics of commit {link['text']}, made" in page
            means += [row["mean"] for row in data["features"] if row["name"] == "amount"]
        assert means == expected


def test_what_lineage_shows_can_be_opened(port: int) -> None:
    _, page = read_data(port, "/lineage")
    found = set(re.findall(r'<a href="(/[^"]*)"><g', page))
    assert {"/view/fraud/1/training-dataset/2", "/models#models=fraud", "/view/fraud/1"} <= found
    assert all(ask(port, path=path.partition("#")[0])[0] == 200 for path in found)


def test_a_search_that_is_cut_off_says_so(tmp_path: Path) -> None:
    fs = store(tmp_path)
    features = [spark_fs.Feature(f"delay_{number}", "double") for number in range(101)]
    fs.create_feature_group("flights", primary_key=["delay_0"], features=features)
    with served(build_explorer_app(fs)) as port:
        data, page = read_data(port, "/search?q=delay")
        assert len(data["found"]["rows"]) == 100
        assert "The best 100: write another word to see fewer." in page
        assert "The best" not in read_data(port, "/search?q=flights")[1]


def test_a_feature_says_who_reads_it(port: int) -> None:
    data, _ = read_data(port, "/group/payments/1")
    (amount,) = [row for row in data["features"] if row["name"] == "amount"]
    assert [data["readers"][number]["text"] for number in amount["used_by"]] == [
        "doubled, version 1",
        "fraud, version 1",
        "model fraud, version 1",
    ]
    points = data["rows_over_time"]["points"]
    assert len(points) == len(data["commits"]["rows"])


def test_a_training_dataset_says_what_makes_it_again(port: int) -> None:
    data, page = read_data(port, "/view/fraud/1/training-dataset/1")
    assert {row["cells"][0]["href"] for row in data["groups"]["rows"]} >= {"/group/payments/1"}
    assert data["splits"]["rows"][0]["cells"][0] == "train"
    assert "standard_scaler of amount" in page
    assert ask(port, path="/view/fraud/1/training-dataset/9")[0] == 404


def test_runs_and_models_have_pages(port: int) -> None:
    data, _ = read_data(port, "/runs")
    (run,) = data["runs"]["rows"]
    link, *cells = run["cells"]
    assert cells[:2] == ["nightly", "finished"]
    steps, page = read_data(port, link["href"])
    assert steps["steps"]["rows"][0]["cells"][:3] == ["backfill", "finished", 1.5]
    assert "payments_1: 4 inserted" in page
    models, _ = read_data(port, "/models")
    assert [row["cells"][0] for row in models["models"]["rows"]] == ["fraud"]
    assert ask(port, path="/run/ffffffff")[0] == 404


def test_what_is_not_there_is_a_page_too(port: int) -> None:
    status, page, headers = ask(port, path="/nosuch")
    assert (status, headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "There is no page /nosuch" in page
    assert ask(port, path="/favicon.ico")[0] == 200


def test_what_is_loaded_before_the_first_page_is_what_pages_need(tmp_path: Path) -> None:
    unpack(ROOT / "tests" / "releases" / "0.1.0.zip", tmp_path)
    script = """
import sys
import spark_fs
from serving import ask, served
from spark_fs.server.explorer import build_explorer_app, load_page_modules
load_page_modules()
with served(build_explorer_app(spark_fs.login().get_feature_store())) as port:
    ask(port, path="/runs")
    before = set(sys.modules)
    for path in ("/", "/group/payments/1", "/view/fraud/1", "/search?q=amount"):
        assert ask(port, path=path)[0] == 200
    missing = {name for name in set(sys.modules) - before if name.startswith("spark_fs.")}
print(sorted(name for name in missing if not name.startswith("spark_fs.online.")))
print("pyspark.sql" in sys.modules)
"""
    found = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        cwd=ROOT / "tests",
        env={**os.environ, "SPARK_FS_HOME": str(tmp_path)},
        check=False,
    )
    assert found.stdout.splitlines() == ["[]", "False"], found.stderr
