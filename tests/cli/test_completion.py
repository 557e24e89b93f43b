"""Shell completion: the files in completions/, and what faceid answers them."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from faceid_cli.registry.store import Registry

FILES = Path(__file__).parents[2] / "completions"


@pytest.fixture
def ask(add_person):
    """Ask faceid for completions in a process of its own, as the shells do."""
    add_person("alice")
    add_person("albert")
    add_person("bob")

    def run(**environment: str) -> subprocess.CompletedProcess[str]:
        code = "import sys; from faceid_cli.cli.app import entry; entry()"
        return subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("faceid show ", {"alice", "albert", "bob"}),
        ("faceid generate al", {"alice", "albert"}),
        ("faceid compose alice b", {"bob"}),
        ("faceid remove zzz", set()),
        ("faceid ren", {"rename"}),
        ("faceid config get mo", {"model"}),
        ("faceid generate alice x --scheduler eu", {"euler", "euler-a"}),
        ("faceid enroll carol photos --preset te", {"textual-inversion"}),
    ],
)
def test_bash_is_answered(ask, line, words) -> None:
    parts = line.split(" ")
    answer = ask(_FACEID_COMPLETE="complete_bash", COMP_WORDS="\n".join(parts), COMP_CWORD=str(len(parts) - 1))
    assert set(answer.stdout.split()) == words, answer.stderr


def test_zsh_fish_and_powershell_are_answered(ask) -> None:
    line = "faceid show al"
    zsh = ask(_FACEID_COMPLETE="complete_zsh", _TYPER_COMPLETE_ARGS=line).stdout
    assert '"alice"' in zsh
    fish = ask(_FACEID_COMPLETE="complete_fish", _TYPER_COMPLETE_ARGS=line, _TYPER_COMPLETE_FISH_ACTION="get-args")
    assert set(fish.stdout.split()) == {"alice", "albert"}
    files = ask(
        _FACEID_COMPLETE="complete_fish", _TYPER_COMPLETE_ARGS="faceid enroll x ", _TYPER_COMPLETE_FISH_ACTION="is-args"
    )
    assert files.returncode == 1, "file names are completed where faceid has no words"
    powershell = ask(
        _FACEID_COMPLETE="complete_powershell", _TYPER_COMPLETE_ARGS=line, _TYPER_COMPLETE_WORD_TO_COMPLETE="al"
    )
    assert {row.split(":::")[0] for row in powershell.stdout.splitlines()} == {"alice", "albert"}


def test_bash_completes_with_the_shipped_file(ask, add_person) -> None:
    scripts = Path(sysconfig.get_path("scripts"))
    if not (scripts / "faceid").exists():
        pytest.skip("faceid is not installed as a command")
    script = f"""
export PATH={scripts}:$PATH
source {FILES / "faceid.bash"}
COMP_WORDS=(faceid show al); COMP_CWORD=2
_faceid
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert set(done.stdout.split()) == {"alice", "albert"}, done.stderr


def test_completion_imports_neither_torch_nor_sqlmodel_nor_pydantic(add_person) -> None:
    add_person("alice")
    with Registry.open() as registry:
        assert len(registry.list()) == 1
    code = """
import os, sys
os.environ.update(_FACEID_COMPLETE="complete_bash", COMP_WORDS="faceid\\nshow\\n", COMP_CWORD="2")
from faceid_cli.cli.app import main
try:
    main([])
finally:
    print(sorted({"torch", "sqlmodel", "sqlalchemy", "pydantic", "rich", "numpy", "PIL"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == ["alice", "[]"], done.stderr


def test_completion_survives_a_damaged_registry(ask) -> None:
    from faceid_cli.kept import paths

    paths.registry_file().write_bytes(b"rubbish " * 1000)
    answer = ask(_FACEID_COMPLETE="complete_bash", COMP_WORDS="faceid\nshow\n", COMP_CWORD="2")
    assert (answer.stdout.strip(), answer.stderr) == ("", "")


def test_there_is_a_file_for_each_shell() -> None:
    assert {path.name for path in FILES.iterdir()} == {"faceid.bash", "_faceid", "faceid.fish", "faceid.ps1"}
    for path in FILES.iterdir():
        assert "_FACEID_COMPLETE" in path.read_text()


def test_prompts_are_completed_with_what_the_built_in_model_can_draw(ask) -> None:
    def offered(prompt: str) -> list[str]:
        parts = ["faceid", "generate", "alice", prompt]
        return ask(_FACEID_COMPLETE="complete_bash", COMP_WORDS="\n".join(parts), COMP_CWORD="3").stdout.splitlines()

    assert "eiffel tower" in offered("eif")
    assert "smiling,basketball" in offered("smiling,bask")
    assert offered("") in ([], [""])
