"""Each row of the layout imports from rows above, files stay short, and start-up stays light."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import gan_cli
from gan_cli.aliases import MOVED

ROOT = Path(gan_cli.__file__).parent

#: Each row imports only from rows above it, or from its own folder.
ROWS = (
    ("errors", "seeding", "spec", "aliases"),
    ("system",),
    ("losses", "noise", "schedules"),
    ("regularizers",),
    ("pictures",),
    ("networks",),
    ("games",),
    ("theory",),
    ("data",),
    ("training",),
    ("settings",),
    ("evaluation",),
    ("runs",),
    ("loading",),
    ("train", "sample", "translate", "evaluate"),
    ("cli",),
)
ROW = {name: number for number, row in enumerate(ROWS) for name in row}
HYDRA_FROM = ROW["settings"]
MOST_MODULES = 18  # at the top; more hide what is there


def modules() -> dict[str, Path]:
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): path
        for path in sorted(ROOT.rglob("*.py"))
    }


def top(module: str) -> str:
    return "gan_cli" if module == "__init__" else module.split(".", maxsplit=1)[0]


def imports(path: Path, *, at_start: bool) -> set[str]:
    """Modules named by import statements; `at_start`: only those run on import."""
    tree = ast.parse(path.read_text())
    body = tree.body if at_start else list(ast.walk(tree))
    found = set()
    for node in body:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            assert node.module
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return found


def imported(module: str, path: Path) -> set[str]:
    """Modules of gan_cli that a module imports anywhere, without `gan_cli.`."""
    known = modules()
    found = set()
    for name in imports(path, at_start=False):
        inner = name.removeprefix("gan_cli.")
        if not name.startswith("gan_cli."):
            continue
        if f"{inner}.__init__" in known:
            inner = f"{inner}.__init__"
        if inner in known and inner != module:
            found.add(inner)
    return found


@pytest.mark.parametrize(("module", "path"), list(modules().items()))
def test_each_row_imports_from_rows_above(module: str, path: Path) -> None:
    here = top(module)
    if here == "gan_cli":
        return  # `load` imports what it starts
    assert here in ROW, f"{module}: give it a row"
    for there in imported(module, path):
        if (module, there) == ("train", "cli.commands"):
            continue  # `python -m gan_cli.train` is the console script
        inside = top(there) == here
        assert inside or ROW[top(there)] < ROW[here], f"{module} imports {there}"


def test_nothing_is_imported_in_a_circle() -> None:
    graph = {module: imported(module, path) for module, path in modules().items()}
    graph["train"].discard("cli.commands")
    graph.pop("__init__")
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join((*path, module))
        if module not in done:
            for there in graph.get(module, ()):
                visit(there, (*path, module))
            done.add(module)

    for module in graph:
        visit(module, ())


@pytest.mark.parametrize(("module", "path"), list(modules().items()))
def test_hydra_stays_below(module: str, path: Path) -> None:
    if top(module) != "gan_cli" and ROW[top(module)] < HYDRA_FROM:
        roots = {name.split(".")[0] for name in imports(path, at_start=False)}
        assert not roots & {"hydra", "omegaconf"}


def test_the_loop_knows_no_model() -> None:
    names = imports(ROOT / "training" / "loop.py", at_start=False)
    assert not {n for n in names if "networks" in n or n.startswith("gan_cli.games.gan")}


def test_the_top_is_seen_at_a_glance() -> None:
    assert len(list(ROOT.glob("*.py"))) <= MOST_MODULES


@pytest.mark.parametrize(("old", "new"), list(MOVED.items()))
def test_old_names_lead_to_the_new_ones(old: str, new: str) -> None:
    sys.modules.pop(f"gan_cli.{old}", None)
    with pytest.warns(DeprecationWarning, match=f"gan_cli.{new}"):
        module = importlib.import_module(f"gan_cli.{old}")
    assert module is importlib.import_module(f"gan_cli.{new}")
    assert module.__name__ == f"gan_cli.{new}"


@pytest.mark.parametrize(
    ("arguments", "absent"),
    [
        (["--help"], {"torch", "hydra", "omegaconf", "rich", "numpy"}),
        (["--cfg", "job"], {"torch", "numpy", "torchvision", "sklearn"}),
    ],
)
def test_light_commands_import_little(arguments: list[str], absent: set[str]) -> None:
    code = (
        "import sys; from gan_cli.cli import commands\n"
        f"sys.argv = ['gan-train', *{arguments!r}]\n"
        "try: commands.train()\n"
        "except SystemExit as end: assert not end.code\n"
        "print('modules', *{name.split('.')[0] for name in sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    loaded = set(done.stdout.splitlines()[-1].split())
    assert not loaded & absent
