"""Imports go down only, Hydra stays out of the lower levels, and start-up stays light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import gan_cli

ROOT = Path(gan_cli.__file__).parent

#: Level of each module; a module imports only from levels below, or from its own package.
LEVELS = {
    "gan_cli": 0,
    "errors": 0, "seeding": 0, "spec": 0, "noise": 0, "losses": 0, "schedules": 0, "density": 0,
    "ema": 0, "regularizers": 0, "optimizers": 0,
    "shell": 0, "files": 0, "terminal": 0, "stopping": 0, "device": 0, "environment": 0,
    "health": 0, "ranks": 0,
    "networks": 1, "games": 1, "data": 1, "pictures": 1, "metrics": 1,
    "checkpoint": 1, "rundir": 2, "runlog": 2, "theory": 2, "theory_pictures": 3,
    "loop": 2,
    "config": 3, "build": 3, "sweep": 4, "check": 4, "resume": 4, "explain": 4, "cli": 4,
    "evaluation": 5, "report": 5, "trained": 5,
    "train": 6, "sample": 6, "translate": 6, "evaluate": 6,
    "commands": 7,
}  # fmt: skip
WITHIN_LEVEL = {0}  # these may import each other, without cycles
HYDRA_FROM = 3


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


@pytest.mark.parametrize(("module", "path"), list(modules().items()))
def test_imports_go_down_only(module: str, path: Path) -> None:
    here = top(module)
    assert here in LEVELS, f"{module}: give it a level"
    if here in ("gan_cli", "commands"):
        return  # they import what they start, when they start it
    for name in imports(path, at_start=False):
        parts = name.split(".")
        if parts[0] != "gan_cli" or len(parts) < 2 or parts[1] not in LEVELS:
            continue
        there = parts[1]
        if there != here and not (here == "train" and there == "commands"):
            allowed = LEVELS[there] < LEVELS[here] or (
                LEVELS[there] == LEVELS[here] and LEVELS[here] in WITHIN_LEVEL | {4}
            )
            assert allowed, f"{module} (level {LEVELS[here]}) imports {there} ({LEVELS[there]})"


@pytest.mark.parametrize(("module", "path"), list(modules().items()))
def test_hydra_stays_above(module: str, path: Path) -> None:
    if LEVELS[top(module)] < HYDRA_FROM:
        roots = {name.split(".")[0] for name in imports(path, at_start=False)}
        assert not roots & {"hydra", "omegaconf"}


def test_the_loop_knows_no_model() -> None:
    names = imports(ROOT / "loop.py", at_start=False)
    assert not {n for n in names if "networks" in n or n.startswith("gan_cli.games.gan")}


@pytest.mark.parametrize(
    ("arguments", "absent"),
    [
        (["--help"], {"torch", "hydra", "omegaconf", "rich", "numpy"}),
        (["--cfg", "job"], {"torch", "numpy", "torchvision", "sklearn"}),
    ],
)
def test_light_commands_import_little(arguments: list[str], absent: set[str]) -> None:
    code = (
        "import sys; from gan_cli import commands\n"
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
