"""What a value in JSON means, as a key, as a passed feature and in an answer, on every store; a wrong one is the caller's mistake, never ours."""

import asyncio
import json
import math
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
import values
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from loaded import loaded

from spark_fs.api.feature_store import FeatureStore
from spark_fs.base.json_values import from_json, to_json
from spark_fs.base.values import to_canonical
from spark_fs.server.vector_server import build_vector_app

from conftest import ONLINE, online_store

NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)
FEATURES = {
    "n": "double",
    "i": "bigint",
    "s": "string",
    "l": "array<timestamp>",
    "at": "timestamp",
    "m": "map<bigint,decimal(5,2)>",
    "d": "decimal(5,2)",
    "t": "struct<b:binary,f:float>",
}
ROW = {
    "n": -0.5,
    "i": 2**53 + 1,
    "s": "ä",
    "l": [NOON, None],
    "at": NOON,
    "m": {7: Decimal("1.50")},
    "d": Decimal("9.90"),
    "t": {"b": b"\xff", "f": 0.5},
}


@pytest.fixture(scope="module", params=ONLINE)
def app(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The program of ``spark-fs serve``, over each online store in turn."""
    with online_store(request.param, tmp_path_factory.mktemp("http")) as fs:
        by_key(fs)
        group = loaded(fs, "rows", {"k": "bigint", **FEATURES}, [{"k": 1, **ROW}])
        scaler = fs.get_transformation_function("log_transform")
        fs.create_feature_view("plain", group.select_features())
        fs.create_feature_view(
            "scaled", group.select(["n", "i"]), transformation_functions=[scaler("n"), scaler("i")]
        )
        yield build_vector_app(fs)


KEYS: dict[str, tuple[str, Any, list[Any]]] = {
    "amount": ("decimal(10,2)", Decimal("1.10"), ["1.1", "1.10", 1.1, "11e-1"]),
    "whole": ("bigint", 1, [1, 1.0]),
    "day": ("date", date(2024, 1, 1), ["2024-01-01", "2024-01-01T00:00:00Z"]),
    "moment": (
        "timestamp",
        NOON,
        [
            "2024-01-01T12:00:00",
            "2024-01-01T12:00:00Z",
            "2024-01-01T07:00:00-05:00",
            "2024-01-01 12:00",
            "2024-01-01T12:00:00.000000000",
        ],
    ),
    "raw": ("binary", b"\x00\xff", ["00ff", "00FF"]),
    "flag": ("boolean", True, [True]),
    "word": ("string", "1", ["1"]),
    "ratio": ("double", 0.5, [0.5, "0.5"]),
}


def by_key(fs: FeatureStore) -> None:
    for name, (type_, key, _) in KEYS.items():
        group = loaded(fs, name, {"k": type_, "v": "bigint"}, [{"k": key, "v": 7}])
        fs.create_feature_view(name, group.select_features())


def posted(app: Any, body: Any) -> tuple[int, Any]:
    """The status and the answer to a request, without a socket; a body that is bytes goes as it is."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": data, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/v1/feature-vectors",
        "raw_path": b"/v1/feature-vectors",
        "query_string": b"",
        "root_path": "",
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "headers": [
            (b"host", b"127.0.0.1"),
            (b"content-type", b"application/json"),
            (b"content-length", str(len(data)).encode()),
        ],
    }
    asyncio.run(app(scope, receive, send))
    return sent[0]["status"], json.loads(b"".join(part.get("body", b"") for part in sent[1:]))


@pytest.mark.parametrize("name", KEYS)
def test_a_key_is_found_by_value(app: Any, name: str) -> None:
    for key in KEYS[name][2]:
        assert posted(app, {"view": name, "entries": [{"k": key}, {"k": key}]}) == (
            200,
            {"features": ["v"], "vectors": [[7], [7]]},
        ), key


def test_an_answer_holds_every_value(app: Any) -> None:
    status, found = posted(app, {"view": "plain", "entries": [{"k": 1}]})
    assert status == 200
    back = [
        to_canonical(type_, from_json(type_, value))
        for type_, value in zip(FEATURES.values(), found["vectors"][0], strict=True)
    ]
    assert values.same(back, list(ROW.values()))


def test_a_passed_feature_comes_back_as_it_was_passed(app: Any) -> None:
    passed = {
        "n": "NaN",
        "i": 3.0,
        "s": "🙂\u0000",
        "l": ["2024-01-01T12:00:00", None],
        "at": "2024-01-01",
        "m": {"-1": "1.5"},
        "d": 1.1,
        "t": {"b": "00", "f": "Infinity"},
    }
    status, found = posted(
        app, {"view": "plain", "entries": [{"k": 1}], "passed_features": [passed]}
    )
    wanted = [
        "NaN",
        3,
        "🙂\0",
        ["2024-01-01T12:00:00+00:00", None],
        "2024-01-01T00:00:00+00:00",
        {"-1": "1.50"},
        "1.10",
        {"b": "00", "f": "Infinity"},
    ]
    assert (status, found["vectors"]) == (200, [wanted])


WRONG_KEYS: list[tuple[str, str]] = [
    ("whole", "1180591620717411303424"),
    ("whole", "1" + "0" * 5000),
    ("whole", "1.5"),
    ("whole", "true"),
    ("whole", '"1"'),
    ("whole", "[1]"),
    ("whole", '{"a": 1}'),
    ("whole", "NaN"),
    ("whole", "1e400"),
    ("amount", '"1.101"'),
    ("amount", '"NaN"'),
    ("amount", "1e30"),
    ("amount", '"1_0"'),
    ("moment", '"soon"'),
    ("moment", "0"),
    ("moment", '"9999-12-31T23:59:59-05:00"'),
    ("moment", '"2024-01-01T12:00:00.0000001"'),
    ("day", '"2024-01-01T01:00:00"'),
    ("raw", '"xyz"'),
    ("flag", "1"),
    ("word", "1"),
    ("word", '"\\ud800"'),
    ("ratio", '"abc"'),
    ("ratio", "NaN"),
]
WRONG_FEATURES: list[tuple[str, str]] = [
    ("n", '"abc"'),
    ("n", "[1]"),
    ("n", "true"),
    ("n", "{}"),
    ("i", "1.5"),
    ("i", "1180591620717411303424"),
    ("i", '"1"'),
    ("s", "1"),
    ("s", '"\\udfff"'),
    ("l", '["soon"]'),
    ("l", "5"),
    ("m", '{"x": 1}'),
    ("m", '{"1": "1.501"}'),
    ("d", '"1.001"'),
    ("t", '{"c": 1}'),
    ("t", '{"f": 1e300}'),
    ("at", "5"),
]


def test_a_wrong_value_is_told_to_the_caller(app: Any) -> None:
    for view, key in WRONG_KEYS:
        status, found = posted(
            app,
            f'{{"view": "{view}", "entries": [{{"k": {key}}}], "allow_missing": true}}'.encode(),
        )
        assert status in (400, 422), (view, key, found)
        assert found["error"]["type"] in ("KeyValueError", "SchemaError", "RequestNotValid")
        assert len(found["error"]["message"]) < 1_000
    for name, value in WRONG_FEATURES:
        for view in ("plain", "scaled") if name in ("n", "i") else ("plain",):
            status, found = posted(
                app,
                f'{{"view": "{view}", "entries": [{{"k": 1}}], "passed_features": [{{"{name}":'
                f" {value}}}]}}".encode(),
            )
            assert status in (400, 422), (view, name, value, found)
            assert found["error"]["type"] in ("SchemaError", "RequestNotValid")


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec=None), max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=5,
)


@settings(
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    max_examples=60,
)
@given(
    keys=st.dictionaries(st.sampled_from(list(KEYS)), ANYTHING, min_size=1),
    passed=st.dictionaries(st.sampled_from(list(FEATURES)), ANYTHING),
)
def test_no_request_is_our_mistake(app: Any, keys: dict[str, Any], passed: dict[str, Any]) -> None:
    for view, key in keys.items():
        status, _ = posted(app, {"view": view, "entries": [{"k": key}], "allow_missing": True})
        assert status in (200, 400, 422)
    status, found = posted(
        app, {"view": "plain", "entries": [{"k": 1}], "passed_features": [passed]}
    )
    assert status in (200, 400, 422)
    if status == 200:
        for (name, type_), value in zip(FEATURES.items(), found["vectors"][0], strict=True):
            wanted = (
                to_canonical(type_, from_json(type_, passed[name])) if name in passed else ROW[name]
            )
            assert to_json(wanted) == value or math.isnan(float(value))
