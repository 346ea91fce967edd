"""Passwords in URLs as people write them, and secrets that are told in nothing that is said."""

import json
import pickle
import traceback
from html import escape
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from spark_fs.errors import OnlineStoreError, SparkFSError
from spark_fs.online.mysql.store import MySQLStore
from spark_fs.redact import (
    find_secrets,
    get_safe_cause,
    is_secret_option,
    redact_secrets,
    register_secrets,
)
from spark_fs.settings import load_settings
from spark_fs.urls import Url, format_masked_url, get_address

PASSWORDS = [
    "pa55word",
    "Password",
    "pa55/w0rd",
    "pa55@w0rd",
    "pa55:w0rd",
    "pa55?w0rd",
    "pa55#w0rd",
    "pa55 w0rd",
    "pa55'w0rd",
    'pa55"w0rd',
    "pa55@a/b?c#e",
    "//pa55@@",
    "Ω-pa55-日本",
    "p&=;55w",
]


@given(
    st.text(
        st.characters(exclude_categories=["Cs"], exclude_characters="%"), min_size=1, max_size=20
    )
)
@example("a@b/c")
@example("/")
def test_a_quoted_password_comes_back_whatever_is_in_it(password: str) -> None:
    url = (
        f"mysql://us%40er:{quote(password, safe='')}@Host.example:3307/shop?pool_size=3&ssl_ca=/a@b"
    )
    assert Url.from_text(url) == Url(
        "mysql", "us@er", password, "host.example", 3307, "shop", "pool_size=3&ssl_ca=/a@b"
    )
    assert (get_address(url), format_masked_url(url)) == (
        "mysql://host.example:3307/shop",
        "mysql://us@er:***@host.example:3307/shop",
    )


@pytest.mark.parametrize("password", [*PASSWORDS, "100%", "a%b"])
@pytest.mark.parametrize("end", ["", "?pool_size=3"])
def test_a_password_that_was_not_quoted_is_one_all_the_same(password: str, end: str) -> None:
    url = f"mysql://risk:{password}@[::1]:3306/shop{end}"
    assert Url.from_text(url) == Url("mysql", "risk", password, "::1", 3306, "shop", end[1:])
    assert get_address(url) == "mysql://[::1]:3306/shop"
    store = MySQLStore(url)
    assert (store.address, store._connect_options["password"], repr(store)) == (
        "::1:3306/shop",
        password,
        "MySQLStore('::1:3306/shop')",
    )


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("mysql://host/shop", "mysql://host/shop"),
        ("mysql://user@host/shop?a=b", "mysql://host/shop"),
        ("mysql://host/shop?ssl_ca=/a@b", "mysql://host/shop"),
        ("sqlite:////home/a@b:c/x.db?mode=ro", "sqlite:////home/a@b:c/x.db"),
        ("http://user:pa55w0rd@mlflow:5000", "http://mlflow:5000/"),
        ("mysql+pymysql://u:p@h", "mysql+pymysql://h/"),
        ("mysql://user:pa55w0rd@host:port/shop", "(what is not a URL)"),
        ("pa55w0rd", "(what is not a URL)"),
        ("", "(what is not a URL)"),
    ],
)
def test_an_address_shows_no_password(url: str, place: str) -> None:
    assert get_address(url) == place


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("spark.hadoop.fs.s3a.secret.key", "k3y", {"k3y"}),
        ("fs.azure.account.key.me.dfs.core.windows.net", "k3y==", {"k3y=="}),
        ("sfPassword", "a b", {"a b"}),
        ("pem_private_key", "x", {"x"}),
        ("fs.azure.sas.box.me", "sig", {"sig"}),
        ("spark.ssl.keyStorePassword", "x", {"x"}),
        ("accessToken", "x", {"x"}),
        ("url", "jdbc:mysql://u:p4ss@h/d", {"p4ss"}),
        ("url", "jdbc:sqlserver://h;user=a;password=p4ss;x=1", {"p4ss"}),
        ("url", "jdbc:postgresql://h/d?user=u&password=p4ss&ssl=true", {"p4ss"}),
        ("url", "jdbc:oracle:thin:scott/tiger@//h:1/x", {"tiger"}),
        ("url", "jdbc:snowflake://h/?private_key_pwd=p4ss", {"p4ss"}),
        ("path", "s3a://KEY:s3cret/k@box/x", {"s3cret/k"}),
        ("spark.driver.extraJavaOptions", "-Xmx1g -Dmy.password='a b' -Dx=1", {"a b"}),
        ("spark.jars.repositories", "https://u:p4ss@repo/x,https://other", {"p4ss"}),
        ("spark.hadoop.fs.s3a.aws.credentials.provider", "org.x.Provider", set()),
        ("spark.security.credentials.hive.enabled", "false", set()),
        ("url", "jdbc:mysql://h:3306/shop?user=me", set()),
        ("spark.master", "spark://host:7077", set()),
        ("path", "/data/a@b:c/d@e", set()),
        ("user", "me", set()),
        ("spark.ssl.keyStorePath", "/a/b", set()),
    ],
)
def test_secrets_are_known_by_the_names_and_forms_of_options(
    name: str, value: str, found: set[str]
) -> None:
    assert set(find_secrets(name, value)) == found
    assert is_secret_option(name) == (found == {value})


@pytest.mark.parametrize("password", PASSWORDS)
def test_a_secret_is_in_no_error_however_it_is_written_in_it(password: str) -> None:
    register_secrets(password)
    written = [
        password,
        repr(password),
        f"{[password]}",
        json.dumps(password),
        json.dumps(password, ensure_ascii=False),
        quote(password),
        quote(password, safe=""),
        quote_plus(password),
        escape(password),
    ]
    for text in written:
        error = SparkFSError(f"before {text} after")
        assert (
            str(error)
            .strip("'\"[]")
            .replace("'***'", "***")
            .replace('"***"', "***")
            .replace("[***]", "***")
            == "before *** after"
        )
        assert password not in repr(error)
    sent = pickle.loads(pickle.dumps(OnlineStoreError(f"at {password}: failed")))
    assert str(sent) == "at ***: failed"


def test_a_word_is_not_taken_out_of_longer_ones_and_a_short_one_out_of_nothing() -> None:
    register_secrets("x5", "local", "password", "spark_fs", "catalogue9", "")
    said = "x5, localhost, local, password, spark_fs, catalogue99; a catalogue9"
    assert redact_secrets(said) == said[:-10] + "***"


def test_a_cause_that_tells_a_secret_is_no_cause() -> None:
    register_secrets("pa55-in-a-cause")
    for inner, kept in ((ValueError("at u:pa55-in-a-cause@h"), False), (ValueError("at h"), True)):
        try:
            try:
                try:
                    raise inner
                except ValueError as error:
                    raise RuntimeError("outer") from error
            except RuntimeError as error:
                raise SparkFSError("It failed.") from get_safe_cause(error)
        except SparkFSError as error:
            told = "".join(traceback.format_exception(error))
            assert ("pa55-in-a-cause" in told, "RuntimeError: outer" in told) == (False, kept)


@pytest.mark.parametrize("password", PASSWORDS)
def test_settings_tell_none_of_their_secrets(password: str) -> None:
    found = load_settings(
        {
            "home": "/x",
            "catalog_url": f"mysql://u:{password}@h/d",
            "online_url": f"mysql://u:{quote(password, safe='')}@h/d",
            "online_password": password,
            "models_url": f"http://u:{password}@h",
            "spark": {"spark.my.password": password, "spark.plain": password},
        }
    )
    assert password not in repr(found) + str(found) + f"{found}"
    assert found.spark["spark.plain"] == password
    assert (
        redact_secrets(f"at mysql://u:{password}@h/d")
        == redact_secrets(f"at mysql://u:{quote(password, safe='')}@h/d")
        == "at mysql://u:***@h/d"
    )


BROKEN = {  # files that are not YAML, or no settings, because of what is in a password
    "colon": "online_password: pa55: w0rd",
    "tag": "online_password: !pa55w0rd",
    "alias": "online_password: *pa55w0rd",
    "quote": "online_password: 'pa55w0rd",
    "at": "online_password: @pa55w0rd",
    "tab": "online_password:\n\t- pa55w0rd",
    "brace": "spark: {spark.password: pa55w0rd",
    "percent": "online_password: %pa55w0rd",
    "no space": "home: x\nonline_url:mysql://u:pa55w0rd@h/d",
    "a key": "mysql://u:pa55w0rd@h/d: x",
    "a list": "- pa55w0rd",
    "a number": "online_password: {pa55w0rd: 1}",
    "another": "'pa55w0rd is it': 1",
}


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_file_is_told_of_by_its_place_alone(
    broken: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("broken") / "conf.yaml"
    file.write_text(BROKEN[broken])
    with pytest.raises(
        SparkFSError,
        match=(
            r"is not YAML at line \d+, column \d+|must hold a mapping|Settings are not valid|does"
            r" not exist"
        ),
    ) as refused:
        load_settings(file)
    assert "pa55" not in "".join(traceback.format_exception(refused.value)).replace(
        BROKEN[broken], ""
    )


def test_a_broken_variable_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARK_FS_SPARK", '{"spark.password": "pa55w0rd"')
    with pytest.raises(SparkFSError, match="SPARK_FS_SPARK is not JSON") as refused:
        load_settings({})
    assert "pa55w0rd" not in "".join(traceback.format_exception(refused.value))
