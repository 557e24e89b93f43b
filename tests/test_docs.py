"""What the documents tell a reader to type exists: commands, options, programs, Python names, files and links."""

from __future__ import annotations

import ast
import inspect
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import typer

import faceid_cli
from faceid_cli.cli.app import app

ROOT = Path(__file__).parent.parent
GUIDES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
CODE_GUIDE, NAME = ROOT / "CONTRIBUTING.md", Path(__file__).name
DOCUMENTS = [
    *GUIDES,
    CODE_GUIDE,
    ROOT / "benchmarks/README.md",
    *sorted((ROOT / "faceid_cli/builtin").rglob("*.md")),
]
OTHER_PROGRAMS = {".", "cd", "git", "hf", "mypy", "pip", "pytest", "ruff"}
HELP = {"--help", "-h"}
FOLDERS = "|".join(sorted(path.name for path in (*ROOT.iterdir(), *(ROOT / "faceid_cli").iterdir()) if path.is_dir()))
FLAG = re.compile(r"(?<![\w-])--[a-z][\w-]*")
PYTHON_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PLACEHOLDER = re.compile(r"[A-Z_]+|\.\.\.")


@dataclass
class Found:
    """What a document says: complaints about it, and the commands that it names."""

    wrong: list[str] = field(default_factory=list)
    commands: set[str] = field(default_factory=set)


def commands_of(group: Any, names: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """All commands that are shown, by what stands behind `faceid`."""
    for name, command in getattr(group, "commands", {}).items():
        if not command.hidden:
            yield " ".join((*names, name)), command
            yield from commands_of(command, (*names, name))


TOP = typer.main.get_command(app)
COMMANDS: dict[str, Any] = {"": TOP, **dict(commands_of(TOP))}


def flags_of(command: Any) -> set[str]:
    """Options that a command shows: former names, which it hides, are not to be in documents."""
    shown = [each for each in command.params if each.param_type_name == "option" and not getattr(each, "hidden", False)]
    return HELP | {flag for each in shown for flag in (*each.opts, *each.secondary_opts)}


ALL_FLAGS = set().union(*(flags_of(command) for command in COMMANDS.values()))


def program_file(name: str) -> Path:
    """The file of `python -m NAME` or `python NAME`."""
    return ROOT / (name if name.endswith(".py") else f"{name.replace('.', '/')}.py")


@cache
def program_flags(path: Path) -> frozenset[str]:
    """What a program's parser is given, by itself and by the functions that it imports from its neighbours."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = set(_added(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (other := program_file(node.module or "")).is_file():
            names = {alias.name for alias in node.names}
            for each in ast.parse(other.read_text(encoding="utf-8")).body:
                if isinstance(each, ast.FunctionDef) and each.name in names:
                    found |= set(_added(each))
    return frozenset(found)


def _added(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "add_argument":
            yield from (each.value for each in node.args if isinstance(each, ast.Constant))


def codes(text: str) -> Iterator[str]:
    """What is set as code: lines of indented and of fenced blocks, and what stands between backticks; Python apart."""
    text = PYTHON_BLOCK.sub("", text)
    prose, in_fence, in_block, was_blank = [], False, False, True
    for line in text.splitlines():
        if line.startswith("```"):
            in_fence = not in_fence
            continue
        in_block = line.startswith("    ") and (in_block or was_blank)
        was_blank = not line.strip()
        if in_fence or in_block:
            yield line.strip().removeprefix("$ ")
        prose.append("" if in_fence or in_block else line)
    yield from (" ".join(span.split()) for span in re.findall(r"`([^`]+)`", "\n".join(prose)))


def parts(code: str) -> Iterator[list[str]]:
    """A line of shell as commands of words; nothing for what is no shell."""
    lexer = shlex.shlex(re.sub(r"\s#\s.*", "", code), posix=True, punctuation_chars="&|;")
    lexer.whitespace_split, lexer.commenters = True, ""
    words: list[str] = []
    try:
        for word in lexer:
            if set(word) <= set("&|;"):
                yield words
                words = []
            else:
                words.append(word)
    except ValueError:
        return
    yield words


def programs_in(words: list[str]) -> list[str]:
    """Programs of this repository among the words of a command."""
    if words[:1] not in (["python"], ["python3"], ["torchrun"]) and "torchrun" not in words:
        return []
    modules = [after for word, after in pairwise(words) if word == "-m"]
    files = [word for word in words[1:2] if word.endswith(".py")]
    return [name for name in (*modules, *files) if name.startswith(("benchmarks", "faceid_cli"))]


def check_command(words: list[str], found: Found) -> None:
    """Check `faceid ...`: the command, and that it has the options."""
    name, rest = "", words[1:]
    while rest and f"{name} {rest[0]}".strip() in COMMANDS:
        name, rest = f"{name} {rest[0]}".strip(), rest[1:]
    found.commands.add(name)
    command, said = COMMANDS[name], f"faceid {name}".strip()
    is_group = hasattr(command, "commands")
    if is_group and rest and not rest[0].startswith("-") and not PLACEHOLDER.fullmatch(rest[0]):
        found.wrong.append(f"there is no command: {said} {rest[0]}")
        return
    known = ALL_FLAGS if is_group and rest and PLACEHOLDER.fullmatch(rest[0]) else flags_of(command)
    for word in rest:
        if re.match(r"--?[a-z]", word) and (flag := word.partition("=")[0]) not in known:
            found.wrong.append(f"{said} has no option {flag}")


def check(text: str, folder: Path = ROOT) -> Found:
    """Look a document through."""
    found, programs, loose = Found(), set(), []
    for block in PYTHON_BLOCK.findall(text):
        check_python(block, found)
    for code in codes(text):
        check_python(code, found)
        for words in parts(code):
            named = programs_in(words)
            programs |= set(named)
            for name in named:
                if (path := program_file(name)).is_file():
                    after = " ".join(words).partition(name)[2]
                    missing = set(FLAG.findall(after)) - program_flags(path)
                    found.wrong += [f"{name} has no option {flag}" for flag in sorted(missing)]
                elif not name.endswith(".py"):  # else it is missed among the files
                    found.wrong.append(f"there is no program {name}")
            if words[:1] == ["faceid"]:
                check_command(words, found)
            elif len(words) > 1 and words[0] in COMMANDS:
                check_command(["faceid", *words], found)
            elif words and not named and words[0] not in OTHER_PROGRAMS:
                loose += FLAG.findall(" ".join(words))
            check_paths(words, folder, found)
    known = ALL_FLAGS.union(*(program_flags(program_file(name)) for name in programs if program_file(name).is_file()))
    found.wrong += [f"nothing has an option {flag}" for flag in loose if flag not in known]
    check_links(text, folder, found)
    return found


def check_python(code: str, found: Found) -> None:
    """Names of `faceid.NAME`, and the arguments of calls."""
    if not re.search(r"(?<![\w./-])faceid\.[A-Za-z_]", code):
        return
    try:
        tree = ast.parse(code)
    except SyntaxError:
        found.wrong.append(f"this is no Python: {code}")
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "faceid":
            if node.attr not in faceid_cli.__all__:
                found.wrong.append(f"there is no faceid.{node.attr}")
        elif isinstance(node, ast.Call) and (name := ast.unparse(node.func).removeprefix("faceid.")) in dir(faceid_cli):
            arguments = {each.arg: None for each in node.keywords if each.arg}
            try:
                inspect.signature(getattr(faceid_cli, name)).bind(*node.args, **arguments)
            except TypeError as error:
                found.wrong.append(f"faceid.{name}: {error}")


def check_paths(words: list[str], folder: Path, found: Found) -> None:
    """Files of this repository that are named."""
    for word in words:
        if re.match(rf"({FOLDERS})/[\w./-]+\.(py|md|json|jsonl|safetensors)$", word) and "NAME" not in word:
            places = (ROOT / word, ROOT / "faceid_cli" / word, folder / word)
            if not any(place.exists() for place in places):
                found.wrong.append(f"there is no file {word}")


def check_links(text: str, folder: Path, found: Found) -> None:
    """Links to files, and to headings."""
    for target, anchor in re.findall(r"\]\(([^)#\s]*)#?([^)\s]*)\)", text):
        if target.startswith("http"):
            continue
        path = folder / target
        if not path.exists():
            found.wrong.append(f"there is no file {target}")
        elif anchor and anchor not in anchors(path.read_text(encoding="utf-8") if target else text):
            found.wrong.append(f"there is no heading {anchor} in {target or 'this document'}")


def anchors(text: str) -> set[str]:
    """The headings of a document as links name them."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_document_names_exists(path: Path) -> None:
    assert check(path.read_text(encoding="utf-8"), path.parent).wrong == []


def test_what_the_code_is_made_of_is_called_so() -> None:
    """Names of functions, classes and constants in the guide to the code."""
    files = [*(ROOT / "faceid_cli").rglob("*.py"), *(ROOT / "tests").rglob("*.py")]
    source = set(re.findall(r"\w+", " ".join(path.read_text(encoding="utf-8") for path in files if path.name != NAME)))
    named = {code for code in codes(CODE_GUIDE.read_text(encoding="utf-8")) if re.fullmatch(r"[\w.]+", code)}
    parts_of_names = {part for code in named for part in code.split(".")} - {"md", "ci", "run", "pyproject", "toml"}
    assert parts_of_names - source == set()


def test_every_command_is_in_the_guides() -> None:
    named = set().union(*(check(path.read_text(encoding="utf-8"), path.parent).commands for path in GUIDES))
    assert {name for name, command in COMMANDS.items() if not hasattr(command, "commands")} - named == set()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("    faceid generate alice x --sead 3", "faceid generate has no option --sead"),
        ("    $ faceid list && faceid generate alice x -x", "faceid generate has no option -x"),
        ("```\nfaceid compose a b x --into y.jpg\n```", "faceid compose has no option --into"),
        ("say `faceid generate alice --stages 2-3`", "faceid generate has no option --stages"),
        ("say `faceid\ngenerat alice`", "there is no command: faceid generat"),
        ("`models test` scores", "there is no command: faceid models test"),
        ("`--likenes 0.5` dials", "nothing has an option --likenes"),
        ("`python -m benchmarks.pace run --poinds 3`", "benchmarks.pace has no option --poinds"),
        ("`python benchmarks/nothing.py`", "there is no file benchmarks/nothing.py"),
        ("`python -m benchmarks.nothing`", "there is no program benchmarks.nothing"),
        ("`faceid.generat('alice', 'x')`", "there is no faceid.generat"),
        ("`faceid.generate('alice', 'x', sead=3)`", "faceid.generate: got an unexpected keyword argument 'sead'"),
        ("look into `faceid_cli/config/rendering.py`", "there is no file faceid_cli/config/rendering.py"),
        ("[here](docs/nothing.md)", "there is no file docs/nothing.md"),
        ("[here](docs/tuning.md#nothing)", "there is no heading nothing in docs/tuning.md"),
    ],
)
def test_what_does_not_exist_is_found(text: str, complaint: str) -> None:
    assert check(text).wrong == [complaint]


def test_what_exists_is_not_complained_about() -> None:
    text = """
    faceid generate "<alice>" "a castle" --seed 7  # a remark with --nothing
    faceid COMMAND --help

`--photos 1 4` and `python -m benchmarks.quality run --photos 1 4 --prompts 14`, `ruff format --check .`
"""
    assert check(text).wrong == []
