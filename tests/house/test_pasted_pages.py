"""What a reader pastes runs: page after page from top to bottom, from an empty folder, in one shell.

Lines that install are left out, since the environment is there, and the clone that some pages begin
in is a copy. A server, which would keep the shell, is begun in the background, and ended by its id
where the next one begins or the walk ends.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

import pandas as pd
import pytest

from documents import (
    COMMANDS_ALONE,
    DOCS,
    DOCUMENTS,
    README,
    ROOT,
    WALKS,
    Block,
    list_blocks,
    list_code,
    remove_comment,
)

INSTALLS = "make setup", "pip install"
SERVERS = {  # and where each says that it serves
    "spark-fs serve": "http://127.0.0.1:8080/ready",
    "spark-fs ui": "http://127.0.0.1:8090/",
}
EXIT_CODES = {"spark-fs freshness --max 2h --max-lag 30m": 4}  # as its comment says: all is of 2024
CLUSTER = "it needs a cluster: make cluster-test"
JOB = "each is a start of Spark: make demo runs these jobs one after another in one"
NOT_PASTED = {  # of pages that are walked, and of others
    "make demo": ".ci/run runs it, as a step of its own",
    "export SPARK_FS_HOME=.demo": "it goes on from make demo",
    ".venv/bin/spark-fs": "the same",
    "make fraud": "a system of its own, whose flows tests/spark runs",
    "make cluster-up": CLUSTER,
    "make cluster-test": CLUSTER,
    "make cluster-down": CLUSTER,
    "export SPARK_CONF_DIR=conf/standalone": CLUSTER,
    "spark-submit --master spark://HOST:7077": CLUSTER,
    "export SPARK_CONF_DIR=conf/local": JOB,
    "spark-submit --jars": JOB,
    "spark-fs sync": "a start of Spark more: tests/spark/test_cli.py runs it",
    "spark-fs verify": "the same",
    "spark-fs run conf/pipelines/flights.yaml": "a year of flights, which make demo builds by jobs",
    "spark-fs runs flights --limit 3": "it goes on from that",
    "spark-fs runs --run 1f2e": "the same",
    "export SOURCE_USER=reader": "it needs that database: tests/spark/test_own_sources.py has one",
    "export SOURCE_PASSWORD=...": "the same",
    "spark-fs init my_orders --source jdbc:": "the same",
    "spark-fs init my_orders --source s3a:": "it needs a bucket, and the page says so",
    "spark-fs init my_orders --source table:": "a catalog: tests/spark/test_own_sources.py has one",
}


def write_orders(folder: Path) -> None:
    """Some events of the reader's own."""
    ordered_at = pd.date_range("2024-01-01", periods=60, freq="6h")
    orders = pd.DataFrame({"order_id": range(60), "shop": ["north", "south"] * 30})
    orders = orders.assign(ordered_at=ordered_at, amount=[float(n % 7) for n in range(60)])
    orders.to_csv(folder / "orders.csv", index=False)
    orders.to_parquet(folder / "orders.parquet", index=False)


def copy_clone(folder: Path) -> None:
    """What a clone has, and the environment that ``make setup`` would make."""
    lines = (ROOT / ".gitignore").read_text().splitlines()
    ignored = shutil.ignore_patterns(".git", *(line.strip("/") for line in lines))
    shutil.copytree(ROOT, folder, ignore=ignored, dirs_exist_ok=True)
    environment = folder / ".venv"
    environment.mkdir()
    for part in Path(sys.prefix).iterdir():
        if not part.name.startswith("."):
            (environment / part.name).symlink_to(part)


PREPARE: dict[str, list[Callable[[Path], None]]] = {
    "parquet": [write_orders],
    "readme": [copy_clone, write_orders],
}


def list_pieces(walk: str) -> Iterator[Block]:
    """What is pasted on a walk, in order; what stood on a page before is not pasted again."""
    pasted: set[str] = set()
    for document in WALKS[walk]:
        for block in list_blocks(document):
            if block.language == "python" and document not in COMMANDS_ALONE:
                yield block
            if block.language == "python" and document == README:
                yield block  # again and again, as docs/index.md says of it
            if block.language != "shell":
                continue
            for command in block.commands:
                line = remove_comment(command)
                if line not in pasted and not line.startswith((*INSTALLS, *NOT_PASTED)):
                    pasted.add(line)
                    yield Block(document, "shell", command)


def write_script(walk: str) -> str:
    """A walk as one script, which says before each piece which one it is."""
    lines = ["set -e", "server="]
    lines.append(
        "end_server() { if [ $server ]; then kill $server; wait $server || true; fi; server=; }"
    )
    lines.append("trap end_server EXIT")
    for number, pieces in enumerate(join_python(walk)):
        lines.append(f"printf '\\n== {number}\\n'")
        lines += paste(pieces)
    return "\n".join(lines)


def join_python(walk: str) -> list[list[Block]]:
    """The pieces, those of Python together that follow one another: a reader has one Python open."""
    joined: list[list[Block]] = []
    for language, pieces in groupby(list_pieces(walk), lambda piece: piece.language):
        together = list(pieces)
        joined += [together] if language == "python" else [[piece] for piece in together]
    return joined


def paste(pieces: Sequence[Block]) -> list[str]:
    """The lines of a script that run what is pasted."""
    if pieces[0].language == "python":
        return ["python - <<'END'", *(piece.text for piece in pieces), "END"]
    command = pieces[0].text
    line = remove_comment(command)
    if line in EXIT_CODES:
        return ["code=0", f"{line} || code=$?", f"[ $code = {EXIT_CODES[line]} ]"]
    if (address := find_address(line)) is None:
        return [command]
    wait = f"until curl -sf -o /dev/null {address}; do kill -0 $server; sleep 0.2; done"
    return ["end_server", f"{line} >&2 & server=$!", wait]


def find_address(line: str) -> str | None:
    """Where a command serves; None for one that ends."""
    words = line.removeprefix(".venv/bin/")
    found = [address for server, address in SERVERS.items() if words.startswith(server)]
    return found[0] if found else None


def run_walk(walk: str, folder: Path) -> list[tuple[str, str]]:
    """Paste a walk in a folder; the first line of each piece, and what it printed."""
    for prepare in PREPARE.get(walk, []):
        prepare(folder)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    own = {"PATH": path, "PYTHONPATH": f"{ROOT}{os.pathsep}."}
    outside = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(
        ["bash", "-c", write_script(walk)],
        cwd=folder,
        env=outside | own,  # no make is above the reader's
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2_000:] + done.stderr[-3_000:]
    printed = re.split(r"\n== \d+\n", done.stdout)[1:]
    first_lines = [pieces[0].text.splitlines()[0] for pieces in join_python(walk)]
    return list(zip(first_lines, printed, strict=True))


def find_printed(printed: Sequence[tuple[str, str]], beginning: str) -> str:
    """What the one piece printed whose first line begins so."""
    (text,) = [text for line, text in printed if line.startswith(beginning)]
    return text


@pytest.mark.slow
@pytest.mark.parametrize("walk", ["first_hour", "own_data", "online", "parquet"])
def test_a_page_runs_in_one_folder_and_one_shell(walk: str, tmp_path: Path) -> None:
    printed = run_walk(walk, tmp_path)
    if walk == "online":
        answer = json.loads(find_printed(printed, "curl "))
        assert answer == {"features": ["clicks"], "vectors": [[8]]}


@pytest.mark.slow
def test_the_readme_runs_from_top_to_bottom_and_the_commands_over_its_store(
    tmp_path: Path,
) -> None:
    printed = run_walk("readme", tmp_path)
    (shown,) = list_code(README, "text")
    assert find_printed(printed, "import pandas") == shown * 2
    told = re.findall(r"^answers `(.+)`\.$", (DOCS / "serving.md").read_text(), re.MULTILINE)
    assert [find_printed(printed, "curl ").strip()] == told


def test_each_line_to_paste_is_pasted_or_has_its_reason() -> None:
    lines = set()
    for document in DOCUMENTS:
        for block in list_blocks(document):
            if block.language == "shell":
                lines.update(remove_comment(command) for command in block.commands)
    pasted = set()
    for walk in WALKS:
        for piece in list_pieces(walk):
            pasted.add(remove_comment(piece.text))
    left = {line for line in lines - pasted if not line.startswith((*INSTALLS, *NOT_PASTED))}
    assert not left
    assert not {line for line in NOT_PASTED if not any(each.startswith(line) for each in lines)}
    assert len(pasted & lines) > 25


def test_installing_is_told_as_it_is() -> None:
    """Nothing of this name is on a registry: what is pasted installs from a clone."""
    told = []
    for document in DOCUMENTS:
        for block in list_blocks(document):
            commands = block.commands if block.language == "shell" else []
            told += [command for command in commands if command.startswith("pip ")]
    assert told
    assert all(command.startswith('pip install ".[') for command in told)
