"""What a claim's experiment gave, as files: a picture, its data, and an entry of claims.json."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from gan_cli.claims.base import FAILS, Claim, Outcome
from gan_cli.claims.book import claims
from gan_cli.claims.lab import Experiment, Lab
from gan_cli.games.base import evaluating
from gan_cli.page.explore import payload_of
from gan_cli.pictures import write_png
from gan_cli.plots import to_picture
from gan_cli.system.files import replacing

PICTURE, DATA, GAMES = "picture.png", "data.json", "games.json"


def show_claim(number: int, folder: str, seed: int, fast: bool) -> dict[str, Any]:
    """Make one claim's experiment, and write what it gave; also in a process of its own.

    Args:
        number: of the claim.
        folder: of all claims.
        seed: of the experiment.
        fast: few steps.

    Returns:
        The entry of claims.json.
    """
    claim = next(claim for claim in claims() if claim.number == number)
    place = Path(folder) / f"{claim.number:02d}_{claim.name}"
    began = time.monotonic()
    try:
        outcome = claim.show(Lab(Path(folder), seed=seed, fast=fast))
    except Exception as error:  # noqa: BLE001  (one broken experiment must not end the others)
        return {**about(claim), **broken(error), "seconds": time.monotonic() - began}
    place.mkdir(parents=True, exist_ok=True)
    write_png(place / PICTURE, to_picture(outcome.picture))
    data = {key: list(values) for key, values in outcome.data.items()}
    write_json(place / DATA, data)
    write_json(place / GAMES, [written(*item) for item in outcome.games.items()])
    return {**about(claim), **judged(outcome), "seconds": round(time.monotonic() - began, 1)}


def written(title: str, experiment: Experiment) -> dict[str, Any]:
    """A trained game for the page's explorer, {"title", "payload"}."""
    with evaluating(experiment.game):
        density = experiment.dataset.density
        step = experiment.state.step
        return {"title": title, "payload": payload_of(experiment.game, step=step, density=density)}


def about(claim: Claim) -> dict[str, Any]:
    """What claims.json says of a claim before it is shown."""
    return {
        "number": claim.number,
        "name": claim.name,
        "statement": claim.statement,
        "formula": claim.formula,
        "source": claim.source,
        "method": claim.method,
        "folder": f"{claim.number:02d}_{claim.name}",
    }


def judged(outcome: Outcome) -> dict[str, Any]:
    """What it says of an outcome."""
    return {
        "verdict": outcome.verdict,
        "limits": outcome.limits,
        "checks": [
            {
                "what": check.what,
                "value": check.value,
                "error": check.error,
                "limit": check.limit,
                "passes": check.passes,
            }
            for check in outcome.checks
        ],
    }


def broken(error: Exception) -> dict[str, Any]:
    """What it says of an experiment that ended in an error."""
    reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
    return {"verdict": FAILS, "limits": f"the experiment broke: {reason}", "checks": []}


def write_json(file: Path, content: object) -> None:
    """Write a JSON file, whole or not at all.

    Raises:
        OSError: it could not be written.
    """
    with replacing(file) as temporary:
        text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
        temporary.write_text(text, encoding="utf-8")
