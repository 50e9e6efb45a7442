"""Every command in the README and docs runs; every file the docs show is used as shown."""

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gan_cli.cli import commands
from gan_cli.runs.meaning import meanings
from gan_cli.settings.schema import RESUMABLE, groups
from tests.conftest import Cli
from tests.test_webdataset import png, write_tar

ROOT = Path(__file__).parent.parent
APPS = {
    app.name: app
    for app in (
        commands.TRAIN,
        commands.SAMPLE,
        commands.TRANSLATE,
        commands.EVALUATE,
        commands.REPORT,
        commands.EXPORT,
        commands.CLAIMS,
    )
}
PAGES = [
    *(name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")),
    *sorted(
        f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md") if ".zh." not in path.name
    ),
]
#: Pages in Chinese, and the English ones whose commands they repeat.
CHINESE = {
    "README.zh.md": ("README.md", "docs/claims.md"),
    "docs/claims.zh.md": ("docs/claims.md",),
}
#: Runs that a page takes to be there, and how many commands it holds.
NEEDED: dict[str, list[list[str]]] = {
    "docs/claims.md": [[]],
    "docs/evaluate.md": [[]],
    "docs/export.md": [
        [],
        ["model=cgan", "data=mnist", "data.root=data", "model.width=4"],
        ["experiment=cyclegan_digits", "model.width=4"],
    ],
    "docs/report.md": [[], ["-m", "name=first", "noise.dim=8,64", "seed=1,2"]],
    "docs/resume.md": [[]],
    "docs/sample.md": [
        [],
        ["model=cgan", "data=mnist", "data.root=data"],
        ["experiment=cyclegan_digits"],
    ],
}
COMMANDS = {
    "README.md": 12,
    "docs/claims.md": 3,
    "docs/data.md": 14,
    "docs/evaluate.md": 5,
    "docs/export.md": 4,
    "docs/extending.md": 7,
    "docs/report.md": 4,
    "docs/resume.md": 5,
    "docs/sample.md": 16,
    "docs/scaling.md": 1,
    "docs/sweeps.md": 2,
    "docs/theory.md": 6,
    "docs/train.md": 22,
}


def read(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", read(page), re.DOTALL)


def commands_of(text: str) -> Iterator[list[str]]:
    """The words of each `gan-...` line; torchrun starts gan-train too."""
    for line in text.replace("\\\n", "").splitlines():
        words = shlex.split(line, comments=True)
        if words and words[0] == "torchrun":
            words = ["gan-train", *words[words.index("gan_cli.train") + 1 :]]
        if words and words[0] in APPS:
            yield words


def shortened(words: list[str]) -> list[str]:
    """A command's arguments with steps=2 (resumed: 4), each logged, or few samples to evaluate."""
    name, *arguments = words
    if name == "gan-evaluate":
        return [word for word in arguments if not word.startswith("n=")] + ["n=300"]
    if name == "gan-claims":
        some = [] if any(word.startswith("claims=") for word in arguments) else ["claims=[1,4]"]
        return [*arguments, *some, "fast=true"]
    if name != "gan-train":
        return arguments
    arguments = [word for word in arguments if not word.startswith("steps=")]
    for place, word in enumerate(arguments):  # the checkpoint that two steps leave
        arguments[place] = re.sub(r"step_\d+\.pt", "step_00000002.pt", word)
    resumed = any(word.startswith("resume=") for word in arguments)
    arguments += ["steps=4" if resumed else "steps=2", "log_every=1"]
    if {"model=cyclegan", "model=dcgan"} & set(arguments):  # full width costs seconds a step
        arguments = [word for word in arguments if not word.startswith("model.width=")]
        arguments.append("model.width=4")
    if "-m" in arguments:  # so few steps measure their objective all the same
        arguments = [word for word in arguments if not word.startswith("eval_every=")]
        arguments += ["eval_every=2", "eval_samples=500"]
    return arguments


def run_commands(cli: Cli, page: str) -> int:
    """Run all commands of a page; test_sweep.py runs launchers and sweepers."""
    count = 0
    for words in commands_of("".join(blocks(page, "bash"))):
        if any(word.startswith("hydra/") for word in words):
            continue
        count += 1
        result = cli(*shortened(words), app=APPS[words[0]])
        assert result.code == 0, f"{shlex.join(words)}: {result.err}"
    return count


def make_data(mnist_root: Path) -> None:
    """The files that the pages speak of, in the current folder."""
    mnist_root.rename("data")
    for folder in ("pictures", "my pictures (1)", "photos/trainA", "photos/trainB"):
        Path(folder).mkdir(parents=True)
        for index in range(6):
            Image.new("RGB", (80, 70), (40 * index, 0, 0)).save(f"{folder}/{index}.png")
    random = np.random.default_rng(0)
    np.savez("scans.npz", images=random.random((40, 16, 16)), labels=np.arange(40) % 2)
    rows = [f"{height:.2f},{weight:.1f},ab" for height, weight in random.random((40, 2))]
    Path("people.csv").write_text("\n".join(["height,weight,name", *rows]))
    Path("shards").mkdir()
    for number in range(4):
        write_tar(Path(f"shards/faces-{number:06d}.tar"), {"1.png": png(0), "2.png": png(9)})


def pages_with_commands() -> Iterator[Any]:
    """All but the one whose files must be written first; the README among the default tests."""
    for page in sorted(COMMANDS.keys() - {"docs/extending.md"}):
        yield pytest.param(page, marks=() if page == "README.md" else (pytest.mark.docs,))


@pytest.mark.parametrize("page", list(pages_with_commands()))
def test_commands_run(cli: Cli, mnist_root: Path, page: str) -> None:
    make_data(mnist_root)
    for arguments in NEEDED.get(page, []):
        assert cli(*arguments, "steps=2", "log_every=1").code == 0
    assert run_commands(cli, page) == COMMANDS[page]
    assert unlisted_keys() == set()


def unlisted_keys() -> set[str]:
    """Keys that runs below the current folder logged, and that docs/keys.md does not list."""
    patterns = [meaning.pattern for meaning in meanings()]
    lines = [
        line for file in Path().rglob("metrics.jsonl") for line in file.read_text().splitlines()
    ]
    assert lines
    keys = {key for line in lines for key in json.loads(line)}
    return {key for key in keys if not any(pattern.fullmatch(key) for pattern in patterns)}


def test_extending_works_as_written(cli: Cli) -> None:
    page = "docs/extending.md"
    files = re.findall(r"`([\w/]+\.\w+)`[^`\n]*:\n\n```\w+\n(.*?)```", read(page), re.DOTALL)
    assert len(files) == 5
    for name, content in files:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(content)
    assert run_commands(cli, page) == COMMANDS[page]


def test_no_page_with_commands_is_forgotten() -> None:
    with_commands = {page for page in PAGES if any(commands_of("".join(blocks(page, "bash"))))}
    assert with_commands == COMMANDS.keys()


def test_python_runs(cli: Cli) -> None:
    assert cli("steps=2").code == 0
    for page in ("README.md", "docs/sample.md", "docs/python.md"):
        names: dict[str, object] = {}
        for code in blocks(page, "python"):
            exec(code, names)
        assert names["x"].shape == (16, 1, 8, 8)  # type: ignore[attr-defined]


def test_other_commands_compose(cli: Cli) -> None:
    """Those in running text, and those that need a GPU or a download: Hydra takes their keys."""
    checked = 0
    for page in PAGES:
        text = read(page)
        inline = re.findall(r"`(gan-train [^`\n]*=[^`\n]*)`", text)
        for words in commands_of("\n".join([*inline, *blocks(page, "text")])):
            arguments = words[1:]
            if "..." in words or any(re.search(r"[A-Z]{3}|\$", word) for word in arguments):
                continue  # a pattern, not a command
            if any(word.startswith("resume=") for word in arguments):
                continue
            result = cli(*arguments, "--cfg", "job")
            assert result.code == 0, f"{page}: {shlex.join(words)}: {result.err}"
            checked += 1
    assert checked >= 10


def test_make_and_python_commands_exist() -> None:
    source = "".join(path.read_text() for path in (ROOT / "benchmarks").glob("*.py"))
    targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))
    checked = 0
    for page in PAGES:
        for line in "".join(blocks(page, "bash")).splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] == ["make"]:
                assert not words[1:2] or words[1] in targets, line
                checked += 1
            elif words[:1] == ["python"] and "benchmarks" in line:
                module = words[2] if words[1] == "-m" else words[1].removesuffix(".py")
                assert (ROOT / (module.replace(".", "/") + ".py")).is_file(), line
                options = [word.replace("--no-", "--") for word in words if word.startswith("--")]
                assert all(f'"{option}"' in source for option in options), line
                checked += 1
    assert checked >= 8


def test_help_examples_run(cli: Cli, mnist_root: Path) -> None:
    mnist_root.rename("data")
    for page, app in (
        (commands.train_help(), commands.TRAIN),
        (commands.SAMPLE_HELP, commands.SAMPLE),
        (commands.EVALUATE_HELP, commands.EVALUATE),
    ):
        examples = page.partition("examples\n")[2].partition("\n\n")[0].strip()
        assert len(examples.splitlines()) >= 3
        for words in commands_of(examples):
            result = cli(*shortened(words), app=app)
            assert result.code == 0, result.err


def anchors(page: Path) -> set[str]:
    """What a heading's link ends in, as GitHub and others make it."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_links_and_pictures_exist(page: str) -> None:
    base = (ROOT / page).parent
    for target in re.findall(r"\]\(((?!http)[^)]+)\)", read(page)):
        path, _, anchor = target.partition("#")
        file = base / path if path else ROOT / page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


def test_every_page_is_in_both_indexes() -> None:
    pages = [page.name for page in (ROOT / "docs").glob("*.md")]
    names = {name for name in pages if ".zh." not in name} - {"README.md"}
    for index, prefix in (("README.md", "docs/"), ("docs/README.md", "")):
        missing = [name for name in sorted(names) if f"]({prefix}{name})" not in read(index)]
        assert missing == [], index


def test_every_picture_is_shown() -> None:
    shown = "".join(read(page) for page in PAGES)
    folder = ROOT / "docs"
    pictures = [
        path.relative_to(folder).as_posix() for path in (folder / "pictures").rglob("*.png")
    ]
    assert [name for name in pictures if f"{name})" not in shown] == []


@pytest.mark.parametrize("page", CHINESE)
def test_chinese_pages_show_commands_of_the_english_ones(page: str) -> None:
    def commands_in(text: str) -> set[str]:
        blocks = re.findall(r"```bash\n(.*?)```", text, flags=re.DOTALL)
        lines = "\n".join(blocks).splitlines()
        return {line.split("#")[0].strip() for line in lines} - {""}

    english = "\n".join(read(name) for name in CHINESE[page])
    assert commands_in(read(page)) <= commands_in(english)


@pytest.mark.parametrize("page", CHINESE)
def test_links_of_chinese_pages_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", read(page)):
        assert ((ROOT / page).parent / target).exists(), target


def test_the_readme_is_short() -> None:
    assert len(read("README.md").splitlines()) <= 160


def test_pages_name_every_option_and_resumable_key() -> None:
    pages = {"data": "docs/data.md"}
    for group, options in groups().items():
        text = read(pages.get(group, "docs/train.md"))
        assert [option for option in options if f"`{option}`" not in text] == [], group
    text = read("docs/resume.md")
    assert [key for key in RESUMABLE if f"`{key}`" not in text] == []


def test_make_help_lists_the_targets() -> None:
    done = subprocess.run(
        ["make", "-C", str(ROOT), "help"], capture_output=True, text=True, check=True
    )
    for target in ("demo", "test", "lint", "types", "keys", "package", "install-cpu"):
        assert re.search(rf"^{target}\s+\w+", done.stdout, re.MULTILINE)
