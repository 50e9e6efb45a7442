"""Each row of the layout imports from rows above, files stay short, and start-up stays light."""

import ast
import importlib
import re
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
    ("plots",),
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
    ("sampling",),
    ("page",),
    ("exporting",),
    ("train", "sample", "translate", "evaluate", "report", "export"),
    ("claims",),
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


FAMILY_MODULES = {
    *(f"games.{name}" for name in ("gan", "conditional", "cyclegan")),
    *(f"networks.{name}" for name in ("mlp", "conditional", "dcgan", "resnet")),
}
FAMILY_NAMES = re.compile(r"\b(vanilla|dcgan|cgan|cyclegan|resnet|mlp)\b", re.IGNORECASE)
#: The help pages show examples, `mistakes` what people type for them; the authors' names stand in
#: addresses and flags that are theirs.
MAY_NAME_FAMILIES = {"cli.help", "cli.mistakes", "data.files.published", "data.files.preprocess"}


def code_words(path: Path) -> str:
    """Names and text in a module, without docstrings and comments."""
    tree = ast.parse(path.read_text())
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    words = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            words += [] if id(node) in docstrings else [node.value]
        elif isinstance(node, ast.Name | ast.ClassDef | ast.FunctionDef | ast.alias | ast.arg):
            words.append(getattr(node, "id", "") or getattr(node, "name", "") or node.arg)
        elif isinstance(node, ast.Attribute):
            words.append(node.attr)
    return "\n".join(words)


@pytest.mark.parametrize(("module", "path"), list(modules().items()))
def test_families_describe_themselves(module: str, path: Path) -> None:
    """Outside games/, networks/ and configs/ nobody knows a model's or a network's name.

    Claims choose models, as configs do.
    """
    if top(module) in ("games", "networks", "claims"):
        return
    assert not imported(module, path) & FAMILY_MODULES
    if module not in MAY_NAME_FAMILIES:
        assert not FAMILY_NAMES.findall(code_words(path))


def test_the_search_for_families_finds_them(tmp_path: Path) -> None:
    file = tmp_path / "x.py"
    for line in ("x = 'only model=cgan'", "from a import dcgan", "def f(mlp): pass", "y.cyclegan"):
        file.write_text(line + "\n")
        assert FAMILY_NAMES.search(code_words(file)), line
    file.write_text("'''A CycleGAN.'''\n")
    assert not FAMILY_NAMES.search(code_words(file))


LONGEST_FILE, LONGEST_FUNCTION = 300, 50  # lines, docstrings included


@pytest.mark.parametrize(("module", "path"), list(modules().items()))
def test_files_and_functions_are_short(module: str, path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= LONGEST_FILE
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno is not None
            lines = node.end_lineno - node.lineno + 1
            assert lines <= LONGEST_FUNCTION, f"{module}.{node.name}"


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
