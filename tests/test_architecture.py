"""The rules of the house: imports go one way, and heavy or special packages stay in their rooms."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "faceid_cli"

# A room may import from the rooms before it, and from itself.
ROOMS = (
    "errors",
    "types",
    "version",
    "contact_sheet",
    "orders",
    "kept",
    "workers",
    "photo_files",
    "jobs",
    "model_files",
    "builtin",
    "faces",
    "backbone",
    "tokens",
    "attention",
    "registry",
    "training",
    "rendering",
    "export",
    "evaluation",
    "report",
    "api",
    "cli",
    "__main__",
)

# Imports inside functions keep the start quick. Elsewhere they would hide cycles. A room has them for a reason:
MAY_IMPORT_LATE = {
    "__init__": "lazy re-exports",
    "api": "torch waits until it is needed",
    "cli": "torch, SQLModel and rich wait until they are needed",
    "faces": "facexlib and torchvision may be missing or broken",
    "kept": "systems lock files in different ways, keys for signing need an extra, and few write to clouds",
    "jobs": "only prompts with variants need dynamicprompts, and only YAML needs its package",
    "rendering": "OpenCV may be missing a library of the system, and credentials need an extra",
    "model_files": "only hub ids need diffusers, and only .ckpt files need torch",
    "builtin": "training recipes and the judge need torch, drawing does not",
    "workers": "only --ray needs Ray",
}

WITHOUT_TORCH = (
    "faceid_cli",
    "faceid_cli.orders.replay",
    "faceid_cli.types",
    "faceid_cli.photo_files",
    "faceid_cli.kept.paths",
    "faceid_cli.kept.weights",
    "faceid_cli.kept.settings",
    "faceid_cli.kept.identity_file",
    "faceid_cli.model_files",
    "faceid_cli.registry.store",
    "faceid_cli.registry.sources",
    "faceid_cli.rendering.metadata",
    "faceid_cli.rendering.prompts",
    "faceid_cli.rendering.guiding",
    "faceid_cli.rendering.save",
    "faceid_cli.faces.account",
    "faceid_cli.report.gather",
    *(f"faceid_cli.workers.{path.stem}" for path in sorted((PACKAGE / "workers").glob("*.py"))),
    *(f"faceid_cli.jobs.{path.stem}" for path in sorted((PACKAGE / "jobs").glob("*.py"))),
    *(f"faceid_cli.api.{path.stem}" for path in sorted((PACKAGE / "api").glob("*.py"))),
    *(f"faceid_cli.cli.{path.stem}" for path in sorted((PACKAGE / "cli").glob("*.py"))),
)


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and full name of everything that is imported, `from a import b` as "a.b"."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are absolute"
            for alias in node.names:
                yield node.lineno, f"{node.module}.{alias.name}"


@cache
def parsed() -> list[tuple[Path, str, ast.Module]]:
    return [(path, room_of(path), ast.parse(path.read_text(encoding="utf-8"))) for path in modules()]


def test_every_module_is_in_a_room() -> None:
    assert {room_of(path) for path in modules()} <= {*ROOMS, "__init__"}


def test_imports_go_one_way() -> None:
    wrong = []
    for path, room, tree in parsed():
        if room == "__init__":
            continue
        for line, name in imports_of(tree):
            parts = name.split(".")
            if parts[0] != "faceid_cli":
                continue
            if parts[1] not in ROOMS or ROOMS.index(parts[1]) > ROOMS.index(room):
                wrong.append(f"{path.relative_to(PACKAGE)}:{line} imports {name}")
    assert wrong == []


def test_no_files_import_each_other_in_a_circle() -> None:
    """Imports for type checkers, and those inside functions, count like all others."""
    files = {".".join(("faceid_cli", *path.relative_to(PACKAGE).with_suffix("").parts)): path for path in modules()}
    files = {name.removesuffix(".__init__"): path for name, path in files.items()}
    imported = {
        name: {
            target
            for _, full in imports_of(ast.parse(path.read_text(encoding="utf-8")))
            for target in _files_of(full, files)
        }
        - {name}
        for name, path in files.items()
        if name != "faceid_cli"  # hands everything on, and nothing imports it
    }
    left = dict(imported)
    while free := [name for name, targets in left.items() if not targets & set(left)]:
        for name in free:
            del left[name]
    assert sorted(left) == []


def _files_of(full: str, files: dict[str, Path]) -> list[str]:
    """The module that an imported name is, or is in."""
    parent = full.rpartition(".")[0]
    return [full] if full in files else [parent] if parent in files else []


@pytest.mark.parametrize(
    ("package", "rooms"),
    [
        ("typer", {"cli"}),
        ("rich", {"cli"}),
        ("click", set()),
        ("sqlmodel", {"registry"}),
        ("sqlalchemy", {"registry"}),
        ("sqlite3", {"registry"}),
        ("facexlib", {"faces"}),
        ("torchvision", {"faces"}),
        ("cv2", {"rendering"}),
        ("c2pa", {"rendering"}),
        ("cryptography", {"kept", "rendering"}),
        ("dynamicprompts", {"jobs"}),
        ("yaml", {"jobs"}),
        ("urllib", {"kept"}),
        ("requests", set()),
        ("httpx", set()),
        ("socket", {"workers"}),  # whether a cluster answers, which the user named
        ("fsspec", {"kept"}),
        ("ray", {"workers"}),
        ("multiprocessing", {"workers"}),
        ("pickle", {"model_files", "tokens"}),  # the name of an error of torch's restricted reader
    ],
)
def test_packages_stay_in_their_rooms(package: str, rooms: set[str]) -> None:
    found = {
        f"{path.relative_to(PACKAGE)}:{line}"
        for path, room, tree in parsed()
        for line, name in imports_of(tree)
        if name.split(".")[0] == package and room not in rooms
    }
    assert found == set()


def test_the_command_line_says_everything_through_one_place() -> None:
    """There, what came from others is shown escaped. Help is our own, and pictures are bytes of a protocol."""
    found = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}"
        for path, room, tree in parsed()
        if room == "cli" and path.name not in ("output.py", "terminal_pictures.py")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).split(".")[-1] in ("echo", "secho", "write", "print")
        and ast.unparse(node) != "typer.echo(context.get_help())"
    ]
    assert found == []


def test_only_the_command_line_and_the_training_recipes_print() -> None:
    found = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}"
        for path, room, tree in parsed()
        if room != "cli" and "pretrain" not in path.parts
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert found == []


def test_imports_inside_functions_have_a_reason() -> None:
    found = [
        f"{path.relative_to(PACKAGE)}:{late.lineno}"
        for path, room, tree in parsed()
        if room not in MAY_IMPORT_LATE
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for late in ast.walk(function)
        if isinstance(late, ast.Import | ast.ImportFrom)
    ]
    assert found == []


def test_only_paths_reads_our_environment_variables() -> None:
    found = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}"
        for path, room, tree in parsed()
        if path.name != "paths.py"
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and node.value == "FACEID_HOME"
    ]
    assert found == []


def test_light_modules_do_not_import_torch() -> None:
    code = f"""
import importlib, sys
for name in {WITHOUT_TORCH!r}:
    importlib.import_module(name)
    heavy = {{"torch", "diffusers", "transformers"}} & set(sys.modules)
    assert not heavy, f"{{name}} imports {{heavy}}"
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_public_name_can_be_had() -> None:
    import faceid_cli

    assert set(faceid_cli.__all__) == set(dir(faceid_cli))
    for name in faceid_cli.__all__:
        assert getattr(faceid_cli, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = faceid_cli.nothing
