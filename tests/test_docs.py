"""Every command in the README and docs runs; every file the docs show is used as shown."""

import re
import shlex
import shutil
from pathlib import Path

import pytest
from PIL import Image

from gan_cli.cli import commands
from gan_cli.evaluation import encoders
from tests.conftest import Cli
from tests.test_webdataset import png, write_tar

ROOT = Path(__file__).parent.parent
APPS = {
    app.name: app
    for app in (commands.TRAIN, commands.SAMPLE, commands.TRANSLATE, commands.EVALUATE)
}


@pytest.fixture(autouse=True)
def _quick_classifier(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoders, "STEPS", 2)


def blocks(document: str, language: str) -> list[str]:
    text = (ROOT / document).read_text()
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def run_commands(cli: Cli, document: str) -> int:
    """Run each `gan-...` line with steps=2 (resumed: 2 more than the run has)."""
    count = 0
    for line in "".join(blocks(document, "bash")).splitlines():
        words = shlex.split(line, comments=True)
        if not words or words[0] not in APPS:
            continue
        if any(word.startswith("hydra/") for word in words):
            continue  # test_sweep.py runs launchers and sweepers
        count += 1
        arguments = [word for word in words[1:] if not word.startswith("steps=")]
        if words[0] == "gan-train":
            resumed = any(word.startswith("resume=") for word in words)
            arguments.append("steps=4" if resumed else "steps=2")
        if words[0] == "gan-evaluate":
            arguments = [word for word in words[1:] if not word.startswith("n=")] + ["n=300"]
        if "-m" in words:  # few and short jobs, which all the same log their objective
            arguments.append("log_every=1")
        result = cli(*arguments, app=APPS[words[0]])
        assert result.code == 0, f"{line}: {result.err}"
    return count


def test_readme_commands_run(cli: Cli, mnist_root: Path) -> None:
    mnist_root.rename("data")
    for folder in ("pictures", "my pictures (1)", "photos/trainA", "photos/trainB"):
        Path(folder).mkdir(parents=True)
        for index in range(6):
            Image.new("RGB", (80, 70), (40 * index, 0, 0)).save(f"{folder}/{index}.png")
    Path("shards").mkdir()
    for number in range(4):
        write_tar(Path(f"shards/faces-{number:06d}.tar"), {"1.png": png(0), "2.png": png(9)})
    assert run_commands(cli, "README.md") >= 30


def test_readme_python_runs(cli: Cli) -> None:
    assert cli("steps=2").code == 0
    (code,) = blocks("README.md", "python")
    names: dict[str, object] = {}
    exec(code, names)
    assert names["x"].shape == (16, 1, 8, 8)  # type: ignore[attr-defined]


def test_help_examples_run(cli: Cli, mnist_root: Path) -> None:
    mnist_root.rename("data")
    for page, app in (
        (commands.train_help(), commands.TRAIN),
        (commands.SAMPLE_HELP, commands.SAMPLE),
        (commands.EVALUATE_HELP, commands.EVALUATE),
    ):
        examples = page.partition("examples\n")[2].partition("\n\n")[0].strip().splitlines()
        assert len(examples) >= 3
        for example in examples:
            words = [w for w in shlex.split(example)[1:] if not w.startswith("steps=")]
            if app is commands.TRAIN:
                words.append(f"steps={4 if 'resume' in example else 2}")
            if app is commands.EVALUATE:
                words = [word for word in words if not word.startswith("n=")] + ["n=300"]
            result = cli(*words, app=app)
            assert result.code == 0, result.err


def test_extending_works_as_written(cli: Cli) -> None:
    text = (ROOT / "docs/extending.md").read_text()
    files = re.findall(r"`([\w/]+\.\w+)`[^`\n]*:\n\n```\w+\n(.*?)```", text, re.DOTALL)
    assert len(files) == 3
    for name, content in files:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(content)
    assert run_commands(cli, "docs/extending.md") == 4


@pytest.mark.parametrize(
    "document", ["README.md", *(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md"))]
)
def test_links_and_pictures_exist(document: str) -> None:
    base = (ROOT / document).parent
    for target in re.findall(r"\]\(((?!http)[^)#]+)\)", (ROOT / document).read_text()):
        assert (base / target).exists(), target


def test_readme_names_every_option_and_resumable_key() -> None:
    from gan_cli.settings.schema import RESUMABLE, groups

    text = (ROOT / "README.md").read_text()
    for group, options in groups().items():
        if group != "experiment":
            assert all(f"`{option}`" in text for option in options), group
    assert all(f"`{key}`" in text for key in RESUMABLE if not key.endswith("_every")), RESUMABLE


def test_make_help_lists_the_targets() -> None:
    import subprocess

    if shutil.which("make") is None:
        pytest.fail("make is needed for the README's commands")
    done = subprocess.run(
        ["make", "-C", str(ROOT), "help"], capture_output=True, text=True, check=True
    )
    for target in ("demo", "test", "lint", "types"):
        assert re.search(rf"^{target}\s+\w+", done.stdout, re.MULTILINE)
