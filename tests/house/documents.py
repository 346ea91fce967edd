"""The documents as a reader pastes them: their commands and their blocks of code, in order."""

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
DOCS = ROOT / "docs"
DOCUMENTS = sorted([README, *DOCS.rglob("*.md")])

# The pages that are read one after another, in one shell.
LOOKS = "serving", "serving_log", "monitoring", "settings"  # over the store of the README's example
WALKS = {
    "first_hour": [DOCS / "tutorials" / "first_hour.md"],
    "own_data": [DOCS / "tutorials" / "own_data.md"],
    "online": [DOCS / "tutorials" / "online.md"],
    "parquet": [DOCS / "load" / "parquet.md"],
    "readme": [README, *(DOCS / f"{page}.md" for page in LOOKS)],
}
COMMANDS_ALONE = WALKS["readme"][1:]  # their Python runs page by page, in folders of its own

COMMANDS = "cd", "curl", "export", "make", "pip", "python", "source", "spark-fs", "spark-submit"
_BLOCK = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<code>.*?)^(?P=indent)```"  # fenced
    r"|(?P<indented>(?:^    [^\n]*\n)+)",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Block:
    """What is pasted at once. Of the shell: lines indented by four that begin with a command."""

    document: Path
    language: str
    text: str

    @property
    def commands(self) -> list[str]:
        """Each command of a block of the shell, with its comment and the lines that it goes on in."""
        commands: list[str] = []
        for line in self.text.splitlines():
            if commands and _goes_on(commands[-1]):
                commands[-1] += f"\n{line}"
            else:
                commands.append(line)
        return commands


def _goes_on(command: str) -> bool:
    return command.endswith("\\") or command.count("'") % 2 == 1


def list_blocks(document: Path) -> list[Block]:
    """The blocks of a document, from top to bottom."""
    blocks = []
    for found in _BLOCK.finditer(document.read_text()):
        language = found["language"]
        text = textwrap.dedent(found["code"] or found["indented"] or "")
        if language is None:
            words = text.split()
            is_command = bool(words) and words[0].removeprefix(".venv/bin/") in COMMANDS
            language = "shell" if is_command else ""
        blocks.append(Block(document, language, text))
    return blocks


def list_code(document: Path, language: str) -> list[str]:
    """The blocks of code in a language, those within tabs too."""
    return [block.text for block in list_blocks(document) if block.language == language]


def list_commands(document: Path) -> list[str]:
    """The commands that a reader would paste into a shell, without their comments."""
    commands = []
    for block in list_blocks(document):
        if block.language == "shell":
            commands += [remove_comment(command) for command in block.commands]
    return commands


def remove_comment(command: str) -> str:
    """A command without what is said behind it."""
    return re.sub(r"\s+# .*$", "", command)
