"""The claims as one page that reads like the paper, with each experiment in its place."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gan_cli.claims.alive import EXPERIMENTS, Alive, scripts_for
from gan_cli.claims.base import FAILS, LIMITS, Claim
from gan_cli.claims.book import claims, explanation
from gan_cli.claims.result import GAMES, PICTURE
from gan_cli.claims.runs import place_of
from gan_cli.page.embed import read_picture, uri
from gan_cli.page.explore import SCRIPTS as EXPLORER_SCRIPTS
from gan_cli.page.explore import explorer
from gan_cli.page.render import render, write_page
from gan_cli.runs.log import number


def write_book(file: Path, results: Sequence[dict[str, Any]], *, seed: int, fast: bool) -> None:
    """Write the page.

    Args:
        file: to write; the claims' folders lie beside it.
        results: entries of claims.json.
        seed: of the experiments.
        fast: whether they took few steps.

    Raises:
        UserError: it cannot be written.
    """
    by_number = {claim.number: claim for claim in claims()}
    entries: list[dict[str, Any]] = []
    tried: set[str] = set()
    for result in results:
        games = games_of(by_number[result["number"]], file.parent / result["folder"], tried)
        picture = read_picture(file.parent / result["folder"] / PICTURE, as_it_is=True)
        text = explanation(by_number[result["number"]])
        title, _, body = text.partition("\n\n")
        entries.append(
            {
                **result,
                "title": " ".join(title.split()),
                "paragraphs": body.split("\n\n"),
                "picture": uri(*picture) if picture else "",
                "alive": alive_of(EXPERIMENTS.get(result["number"])),
                "games": games,
                "level": level_of(result["verdict"]),
                "checks": [
                    {**check, "value": number(check["value"]), "error": error_of(check)}
                    for check in result["checks"]
                ],
            }
        )
    failed = sum(result["verdict"] == FAILS for result in results)
    shown = [EXPERIMENTS[r["number"]] for r in results if r["number"] in EXPERIMENTS]
    page = render(
        "claims.html",
        scripts=scripts_for(shown),
        more=EXPLORER_SCRIPTS if any(entry["games"] for entry in entries) else (),
        title="The papers' claims",
        reload=0,
        entries=entries,
        failed=failed,
        seed=seed,
        fast=fast,
        seconds=sum(result["seconds"] for result in results),
    )
    write_page(file, page)


def games_of(claim: Claim, folder: Path, tried: set[str]) -> list[dict[str, Any]]:
    """Games that a reader can try beside a claim: {"title", "payload"}.

    Args:
        claim: whose experiment it is.
        folder: what the experiment left.
        tried: names of shared runs that are on the page; the claim's first one is added.
    """
    try:
        games: list[dict[str, Any]] = json.loads((folder / GAMES).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # the experiment broke before it had any
        return []
    for name in claim.runs[:1]:
        if name not in tried:
            tried.add(name)
            payload = explorer(place_of(name, folder.parent)).payload
            games += [{"title": f"G of the run {name}", "payload": payload}] if payload else []
    return games


def alive_of(experiment: Alive | None) -> dict[str, str] | None:
    """What the page writes down of an experiment for the reader; None: there is none."""
    if experiment is None:
        return None
    settings = json.dumps(experiment.settings())
    return {"kind": experiment.kind, "caption": experiment.caption, "settings": settings}


def level_of(verdict: str) -> str:
    """The colour of a verdict."""
    return {FAILS: "bad", LIMITS: "watch"}.get(verdict, "good")


def error_of(check: dict[str, Any]) -> str:
    """A check's error as the page shows it."""
    return "" if check["error"] is None else f" ± {number(check['error'])}"
