"""Write docs/claims.md and docs/claims.zh.md, and their pictures, from what gan-claims has left.

gan-claims jobs=2
python docs/make_claims.py outputs/claims
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from gan_cli.claims.base import FAILS, HOLDS, LIMITS
from gan_cli.claims.book import claims, explanation
from gan_cli.claims.result import PICTURE
from gan_cli.runs.log import number

DOCS = Path(__file__).parent
PICTURES = DOCS / "pictures" / "claims"
ENGLISH, CHINESE, TEXTS = "claims.md", "claims.zh.md", "claims.zh.yaml"
VERDICTS = {HOLDS: "成立", LIMITS: "在一定范围内成立", FAILS: "不成立"}
MARK = "<!-- claims: written by docs/make_claims.py -->"


def chinese() -> dict[str, dict[str, Any]]:
    """The Chinese texts, by the claims' names."""
    texts: dict[str, dict[str, Any]] = yaml.safe_load((DOCS / TEXTS).read_text(encoding="utf-8"))
    return texts


def numbers_of(
    entry: Mapping[str, Any], headings: tuple[str, str, str], names: Sequence[str]
) -> list[str]:
    """A table of what was measured."""
    rows = ["| " + " | ".join(headings) + " |", "|---|---|---|"]
    for check, name in zip(entry["checks"], names, strict=True):
        error = "" if check["error"] is None else f" ± {number(check['error'])}"
        what = name.replace("|", "\\|")
        rows.append(f"| {what} | {number(check['value'])}{error} | {check['limit']} |")
    return rows


def in_chinese(limit: str) -> str:
    """A threshold: at most x, at least x, or from x to y."""
    for english, translated in (
        (r"at most (\S+)", r"不超过 \1"),
        (r"at least (\S+)", r"不低于 \1"),
        (r"from (\S+) to (\S+)", r"在 \1 与 \2 之间"),
    ):
        limit = re.sub(english, translated, limit)
    return limit


def section(entry: Mapping[str, Any], *, title: str, paragraphs: list[str], source: str,
            verdict: str, headings: tuple[str, str, str], names: Sequence[str]) -> str:  # fmt: skip
    """One claim."""
    lines = [f"### {entry['number']}. {title}", ""]
    for paragraph in paragraphs:
        lines += [paragraph, ""]
    lines += ["```", entry["formula"], "```", "", source, ""]
    lines += [f"![{entry['name']}](pictures/claims/{entry['folder']}.png)", ""]
    lines += [*numbers_of(entry, headings, names), "", f"**{verdict}**", ""]
    return "\n".join(lines)


def english_of(entry: Mapping[str, Any], text: str) -> str:
    """A claim in English: its module's explanation."""
    title, *paragraphs = text.split("\n\n")
    paragraphs = [
        f"```\n{part.strip()}\n```" if part.startswith("    ") else " ".join(part.split())
        for part in paragraphs
    ]
    limits = f": {entry['limits']}" if entry["limits"] else ""
    return section(
        entry,
        title=" ".join(title.split()).rstrip("."),
        paragraphs=[f"*{entry['statement']}*", *paragraphs],
        source=f"{entry['source']}. {entry['method']}",
        verdict=f"{entry['verdict']}{limits}",
        headings=("measured", "value", "threshold"),
        names=[check["what"] for check in entry["checks"]],
    )


def chinese_of(entry: Mapping[str, Any], text: Mapping[str, Any]) -> str:
    """A claim in Chinese."""
    checks = [{**check, "limit": in_chinese(check["limit"])} for check in entry["checks"]]
    limits = f"：{text['limits']}" if entry["verdict"] == LIMITS else ""
    return section(
        {**entry, "checks": checks},
        title=text["title"],
        paragraphs=[text["statement"], f"做法：{text['method']}"],
        source=f"出处：{entry['source']}",
        verdict=f"{VERDICTS[entry['verdict']]}{limits}",
        headings=("量", "数值", "要求"),
        names=text["checks"],
    )


def write(name: str, sections: list[str]) -> None:
    """Put the claims below the mark of a page, whose introduction stays."""
    page = DOCS / name
    head, mark, _ = page.read_text(encoding="utf-8").partition(MARK)
    assert mark, f"{name} has no mark"
    page.write_text(head + MARK + "\n\n" + "\n".join(sections), encoding="utf-8")


def main(folder: Path) -> None:
    """Write both pages."""
    entries = json.loads((folder / "claims.json").read_text(encoding="utf-8"))
    by_name = {entry["name"]: entry for entry in entries}
    shutil.rmtree(PICTURES, ignore_errors=True)
    PICTURES.mkdir(parents=True)
    texts = chinese()
    pages: dict[str, list[str]] = {ENGLISH: [], CHINESE: []}
    for claim in claims():
        entry = by_name[claim.name]
        shutil.copy(folder / entry["folder"] / PICTURE, PICTURES / f"{entry['folder']}.png")
        pages[ENGLISH].append(english_of(entry, explanation(claim)))
        pages[CHINESE].append(chinese_of(entry, texts[claim.name]))
    for name, sections in pages.items():
        write(name, sections)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
