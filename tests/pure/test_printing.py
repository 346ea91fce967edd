"""The command line prints what is there: brackets, colons and control characters in a text are part of it."""

import logging
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

import spark_fs
from spark_fs import cli
from spark_fs.api.feature_store import FeatureStore
from spark_fs.base.terminal import escape_for_terminal
from spark_fs.pipelines.logs import TextFormatter
from spark_fs.spec.pipeline_run import PipelineRun, StepRecord

AT = datetime(2024, 1, 1, tzinfo=UTC)
TEXTS = [
    "[/red]",
    "[/]",
    "[bold]words[/bold]",
    "[link=https://example.com]here[/link]",
    "rows [1, 2] of ['a']",
    "\\[x]",
    ":smile: :warning:",
    "a[b",
    "]",
    "[on red]x",
    "[#ff0000]",
    "\x1b[31mred\x1b[0m",
    "\x1b]0;title\x07",
    "bell\x07 back\x08 return\r feed\x0c",
    "\x9b31m",
    "\u202eright to left\u202c",
    "\u2066x\u2069",
    "line\u2028end",
    "\ud800",
    "\x00",
    "日本 😀 é",
]


@pytest.fixture
def fs(tmp_path: Path) -> FeatureStore:
    return spark_fs.login({"home": tmp_path}).get_feature_store()


def printed(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    fs: FeatureStore,
    *arguments: str,
) -> str:
    monkeypatch.setenv("SPARK_FS_HOME", str(fs._stores.settings.home))
    monkeypatch.setattr(sys, "argv", ["spark-fs", *arguments])
    with pytest.raises(SystemExit, match=r"^0$"):
        cli.main()
    return capsys.readouterr().out


def is_plain(text: str) -> bool:
    """Whether a terminal takes nothing in it for a command."""
    return not any(
        (ord(c) < 32 and c not in "\n\t")
        or 0x7F <= ord(c) < 0xA0
        or c in "\u2028\u2029\u202e\u2066"
        or 0xD800 <= ord(c) < 0xE000
        for c in text
    )


def test_runs_are_shown_whatever_their_texts_hold(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], fs: FeatureStore
) -> None:
    said = [text for text in TEXTS if text != "\ud800"]  # which no database keeps
    for number, text in enumerate(said):
        step = StepRecord(
            "build", "failed", AT, 1.0, {"read": 1}, (f"line {text}",), f"error {text}"
        )
        fs._stores.catalog.save_run(
            PipelineRun(f"{number:032x}", "daily", AT, AT, AT, "failed", (step,), f"run {text}")
        )
    listed = printed(monkeypatch, capsys, fs, "runs", "--limit", "100")
    assert is_plain(listed)
    for number, text in enumerate(said):
        assert escape_for_terminal(text) in listed
        one = printed(monkeypatch, capsys, fs, "runs", "--run", f"{number:032x}")
        assert is_plain(one)
        assert all(
            f"{what} {escape_for_terminal(text)}" in one for what in ("line", "error", "run")
        )


def test_groups_and_views_are_shown_whatever_is_said_of_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], fs: FeatureStore
) -> None:
    columns = [spark_fs.Feature("id", "bigint"), spark_fs.Feature("n", "struct<a:int>")]
    for number, text in enumerate(text for text in TEXTS if text != "\ud800"):
        group = fs.create_feature_group(
            f"group_{number}", description=text, primary_key=["id"], features=columns
        )
        fs.create_feature_view(f"view_{number}", group.select_all(), description=text)
        for kind in ("group", "view"):
            found = printed(monkeypatch, capsys, fs, "show", f"{kind}_{number}")
            assert is_plain(found)
            assert f"version 1: {escape_for_terminal(text)}\n" in found


def test_an_error_is_plain_too(fs: FeatureStore) -> None:
    assert fs.get_feature_groups() == []  # the store is there
    run = subprocess.run(
        [sys.executable, "-m", "spark_fs.cli", "show", "[/red]\x1b[31m"],
        env={
            "SPARK_FS_HOME": str(fs._stores.settings.home),
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": ":".join(sys.path),
        },
        capture_output=True,
        text=True,
    )
    assert run.returncode == 1
    assert run.stderr.startswith(r"error: Feature group or view '[/red]\x1b[31m' does not exist")


def test_a_terminal_that_lacks_letters_is_told_their_numbers(fs: FeatureStore) -> None:
    fs.create_feature_group("clicks", description="日本 😀", primary_key=["id"])
    environment = {
        "SPARK_FS_HOME": str(fs._stores.settings.home),
        "PATH": "/usr/bin:/bin",
        "PYTHONIOENCODING": "ascii",
        "PYTHONPATH": ":".join(sys.path),
    }
    run = subprocess.run(
        [sys.executable, "-m", "spark_fs.cli", "show", "clicks"],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert r"version 1: \u65e5\u672c \U0001f600" in run.stdout


@pytest.mark.parametrize("command", ["serve", "ui"])
def test_a_server_for_other_machines_asks_for_a_token(
    monkeypatch: pytest.MonkeyPatch, fs: FeatureStore, tmp_path: Path, command: str
) -> None:
    assert fs.get_feature_groups() == []  # the store is there
    monkeypatch.setenv("SPARK_FS_HOME", str(fs._stores.settings.home))
    for arguments, said in (
        (
            ["--host", "0.0.0.0"],
            (
                r"error: --host 0\.0\.0\.0 lets other machines in, and nobody would be asked for a"
                r" token"
            ),
        ),
        (["--host", "::"], r"error: --host :: lets other machines in"),
        (["--token-file", str(tmp_path / "none")], r"error: Token file .* cannot be read"),
        (
            ["--host", "192.0.2.1", "--insecure", "--port", "9"],
            r"error: Port 9 of 192\.0\.2\.1 cannot be listened on",
        ),  # let in, and then not an address of this machine
    ):
        monkeypatch.setattr(sys, "argv", ["spark-fs", command, *arguments])
        with pytest.raises(SystemExit, match=f"^{said}"):
            cli.main()
    monkeypatch.setenv("SPARK_FS_TOKEN", "a-token-of-many-letters")
    monkeypatch.setattr(sys, "argv", ["spark-fs", command, "--host", "192.0.2.1", "--port", "9"])
    with pytest.raises(SystemExit, match=r"^error: Port 9 of 192\.0\.2\.1 cannot be listened on"):
        cli.main()


def test_what_a_run_says_is_plain() -> None:
    record = logging.LogRecord("x", logging.INFO, "", 0, "%s", ("step \x1b[31m[/red]\u202e",), None)
    assert TextFormatter("%(message)s").format(record) == r"step \x1b[31m[/red]\u202e"
