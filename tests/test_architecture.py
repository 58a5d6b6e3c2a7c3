"""The house stands: imports point down, every module loads on its own, and `import hypertok` is light.

The order is __main__ -> cli -> experiment -> training, measure -> model -> tokenizer -> vocabulary -> lexicon ->
archive -> codec -> corpus -> data, artifact -> single_file -> replacing -> errors, progress, terminal; a module may
use its own room and those below. Rooms that come later are added to `FLOORS` (docs/architecture.md).
"""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "hypertok"
#: From the top down; names on one line are one floor and do not use each other.
FLOORS = (
    ("__main__",), ("cli",), ("experiment",), ("training", "measure"), ("model",), ("tokenizer",), ("vocabulary",),
    ("lexicon",), ("archive",), ("codec",), ("corpus",), ("artifact", "data"), ("single_file",), ("replacing",),
    ("errors", "progress", "terminal"),
)  # fmt: skip
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
HEAVY = (
    "torch",
    "transformers",
    "polars",
    "pymorphy3",
    "numpy",
    "ray",
    "datasets",
    "pydantic",
    "typer",
    "rich",
)
#: Rooms whose modules may import torch and transformers at the top: they are nothing without.
TORCH_ROOMS = ("model", "training")
MODULES = sorted(
    ".".join(("hypertok", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")
    for path in PACKAGE.rglob("*.py")
)


def path_of(module: str) -> Path:
    path = PACKAGE.parent / Path(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def room_of(module: str) -> str:
    """«lexicon» for hypertok.lexicon.build; '' for the package itself: its lazy names come from anywhere."""
    return module.split(".")[1] if "." in module else ""


def names_in(node: ast.AST, module: str) -> list[str]:
    """Modules of ours that a statement of a module imports; none where it is no import."""
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        assert not node.level, f"{module}:{node.lineno}: relative import"
        full = [f"{node.module}.{alias.name}" for alias in node.names]
        names = [name if name in MODULES else str(node.module) for name in full]
    else:
        return []
    return [name for name in names if name.split(".")[0] == "hypertok"]


def imported(module: str) -> Iterator[tuple[int, str]]:
    """(line, module of ours) for every import, wherever it stands: in functions and TYPE_CHECKING too."""
    for node in ast.walk(ast.parse(path_of(module).read_text(encoding="utf-8"))):
        yield from ((node.lineno, name) for name in names_in(node, module))


def run_at_load_time(node: ast.AST) -> Iterator[ast.AST]:
    """A node and all below it that runs while its module loads: no functions, nothing for type checkers alone."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return
    yield node
    checked = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    for child in node.orelse if checked else ast.iter_child_nodes(node):
        yield from run_at_load_time(child)


def test_every_room_has_a_floor() -> None:
    rooms = {room_of(module) for module in MODULES} - {""}
    assert rooms >= {"errors", "artifact", "corpus", "codec", "lexicon"}
    assert rooms <= FLOOR.keys(), f"no floor for {rooms - FLOOR.keys()}"


def test_imports_point_down() -> None:
    wrong, checked = [], 0
    for module in MODULES:
        here = room_of(module)
        for line, name in imported(module):
            there = room_of(name)
            checked += 1
            if not here or not there or here == there:
                continue
            if FLOOR[there] <= FLOOR[here]:
                wrong.append(f"{path_of(module)}:{line}: {here} imports {there} ({name})")
    assert checked > 50
    assert not wrong, "\n".join(wrong)


def test_no_import_cycles_at_load_time() -> None:
    """So every module can be the first one imported (a cycle shows only from some sides)."""
    graph = {
        module: {
            name
            for node in run_at_load_time(ast.parse(path_of(module).read_text(encoding="utf-8")))
            for name in names_in(node, module)
        }
        for module in MODULES
    }
    assert sum(map(len, graph.values())) > 200
    TopologicalSorter(graph).prepare()
    with pytest.raises(CycleError):
        TopologicalSorter({**graph, "hypertok.errors": {"hypertok.cli.main"}}).prepare()


@pytest.mark.parametrize("module", MODULES)
def test_every_module_says_what_it_is_for(module: str) -> None:
    text = path_of(module).read_text(encoding="utf-8")
    assert not text.strip() or ast.get_docstring(ast.parse(text)), f"{module}: no module docstring"
    assert "import pickle" not in text


def loaded_by(statement: str) -> set[str]:
    """Top-level names of all modules that a fresh interpreter loads for a statement."""
    program = f"{statement}\nimport sys\nprint(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_import_hypertok_is_light() -> None:
    assert not loaded_by("import hypertok") & set(HEAVY)


def test_no_module_needs_the_heavy_extras() -> None:
    light = (module for module in MODULES if room_of(module) not in TORCH_ROOMS)
    statement = "\n".join(f"import {module}" for module in light)
    assert not loaded_by(statement) & {"torch", "transformers", "ray", "datasets"}


def test_public_names_exist_and_are_lazy() -> None:
    hypertok = importlib.import_module("hypertok")
    public = getattr(hypertok, "__all__", [])
    assert "Lexicon" in public, "the public names stand on one screen"
    for name in public:
        assert getattr(hypertok, name) is not None
    with pytest.raises(AttributeError):
        _ = hypertok.no_such_name
