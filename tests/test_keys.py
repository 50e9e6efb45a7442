"""docs/keys.md is what docs/make_keys.py writes, and no key of a config or a run is missing."""

import ast
import json
import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from docs import make_keys
from gan_cli.runs.meaning import meanings
from gan_cli.runs.meaning import sections as sections_of_keys

ROOT = Path(__file__).parent.parent
GOLDEN = sorted((ROOT / "tests" / "golden").glob("*/*/metrics.jsonl"))
CONFIGS = sorted((ROOT / "configs").rglob("*.yaml"))


def unlisted(keys: Iterable[str]) -> list[str]:
    patterns = [meaning.pattern for meaning in meanings()]
    return [key for key in keys if not any(pattern.fullmatch(key) for pattern in patterns)]


def test_the_page_is_up_to_date() -> None:
    written = (ROOT / "docs" / "keys.md").read_text(encoding="utf-8")
    assert written == make_keys.page(), "run `make keys`"


@pytest.mark.parametrize("file", CONFIGS, ids=lambda f: str(f.relative_to(ROOT / "configs")))
def test_every_key_of_a_config_has_a_comment(file: Path) -> None:
    assert make_keys.heading_of(file)
    if file.parent.name == "experiment":
        return  # recipes: the groups say what their keys mean
    assert [key.path for key in make_keys.keys_of(file) if not key.comment] == []


def test_a_key_without_comment_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("# A.\nb:  # has one\n  c: 1\nsteps: {x: 1}  # table\n")
    keys = make_keys.keys_of(tmp_path / "a.yaml")
    assert [(key.path, key.comment) for key in keys] == [
        (("b",), "has one"),
        (("b", "c"), ""),
        (("steps",), "table"),
    ]


@pytest.mark.parametrize("file", GOLDEN, ids=lambda f: f.parent.name)
def test_runs_log_listed_keys_only(file: Path) -> None:
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    expected = json.loads((file.parent / "expected.json").read_text())
    logged = {key for line in [*lines, *expected["lines"]] for key in line}
    assert len(logged) > 10
    assert unlisted(sorted(logged)) == []
    assert unlisted(sorted(expected["evaluation"])) == []


def test_the_source_names_listed_keys_only() -> None:
    """What no golden run logs: all metrics, and warnings of the health monitor."""
    sections = sections_of_keys()
    prefixes = {e["key"].partition("/")[0] for s in sections for e in s["keys"] if "/" in e["key"]}
    pattern = re.compile(rf"({'|'.join(sorted(prefixes))})/[a-z_0-9]*[a-z0-9]")
    named = {
        node.value
        for file in (ROOT / "gan_cli").rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and pattern.fullmatch(node.value)
    }
    assert len(named) > 40
    assert unlisted(sorted(named)) == []


def test_all_warnings_are_listed() -> None:
    from gan_cli.training.health import RULES

    assert unlisted(rule.key for rule in RULES) == []


def test_an_unknown_key_is_noticed() -> None:
    assert unlisted(["loss/d", "loss/d_a", "loss/typo", "eval/parzen_eror"]) == [
        "loss/typo",
        "eval/parzen_eror",
    ]
