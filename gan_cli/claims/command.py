"""gan-claims: the papers' statements, each shown, measured and judged."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path
from typing import Any, cast

from rich.table import Table

from gan_cli.claims.base import FAILS, Claim
from gan_cli.claims.book import claims
from gan_cli.claims.page import write_book
from gan_cli.claims.result import show_claim, write_json
from gan_cli.claims.runs import place_of, train_run
from gan_cli.errors import GanTrainError, Problem, UserError, did_you_mean
from gan_cli.runs.directory import is_run
from gan_cli.runs.log import number
from gan_cli.system.terminal import Terminal

RESULTS, INDEX = "claims.json", "index.html"
MOST_JOBS = 256
NOTHING = {"value": float("nan"), "limit": ""}  # an experiment that broke has no number


def run(config: dict[str, Any], from_command_line: list[str]) -> int:  # noqa: ARG001
    """gan-claims: make the experiments, write their pages, print the table.

    Args:
        config: resolved, plain containers.
        from_command_line: the keys that the command line names; unused here.

    Returns:
        The exit code: 0 if all claims hold, 1 if one does not.

    Raises:
        UserError: there is no such claim, or the folder cannot be written.
    """
    chosen = chosen_claims(config)
    terminal, folder = Terminal(), Path(config["out"])
    needed = dict.fromkeys(name for claim in chosen for name in claim.runs)
    for place in (place_of(name, folder) for name in needed):
        if place.exists() and not is_run(place):
            advice = f"holds {place}, which is no run of gan-train. Give another: out=FOLDER"
            raise UserError(Problem("out", folder, advice))
    began = time.monotonic()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        results = []
        for result in experiments(chosen, config, terminal):
            results.append(result)
            terminal.say(line_of(result, done=len(results), total=len(chosen)))
        results.sort(key=lambda result: result["number"])
        write_json(folder / RESULTS, results)
        write_book(folder / INDEX, results, seed=config["seed"], fast=config["fast"])
    except OSError as error:
        advice = f"cannot be written ({error.strerror or error}). Give another: out=FOLDER"
        raise UserError(Problem("out", folder, advice)) from error
    terminal.print(table_of(results))
    if config["fast"]:
        terminal.say("note: fast=true took few steps, so verdicts of claims that train say nothing")
    failed = [result for result in results if result["verdict"] == FAILS]
    terminal.say(
        f"{len(results) - len(failed)} of {len(results)} hold; {time.monotonic() - began:.0f} s"
    )
    terminal.say(f"  read      {folder / INDEX}")
    return 1 if failed else 0


def chosen_claims(config: dict[str, Any]) -> list[Claim]:
    """The claims that a config asks for.

    Raises:
        UserError: a value makes no sense.
    """
    problems = []
    if config["seed"] < 0:
        problems.append(Problem("seed", config["seed"], "must be at least 0"))
    if not 1 <= config["jobs"] <= MOST_JOBS:
        problems.append(Problem("jobs", config["jobs"], f"must lie between 1 and {MOST_JOBS}"))
    wanted = config["claims"]
    if wanted == []:
        problems.append(Problem("claims", wanted, "names none; leave it out to show all"))
    wanted = wanted if isinstance(wanted, list) else [] if wanted is None else [wanted]
    known = {key: claim for claim in claims() for key in (str(claim.number), claim.name)}
    for name in map(str, wanted):
        if name not in known:
            hint = did_you_mean(name, [claim.name for claim in claims()])
            numbers = f"Numbers: {', '.join(str(claim.number) for claim in claims())}"
            advice = " ".join(filter(None, ("no such claim.", hint, numbers)))
            problems.append(Problem("claims", name, advice))
    if problems:
        raise UserError(problems)
    chosen = {known[str(name)].number for name in wanted}
    return [claim for claim in claims() if not chosen or claim.number in chosen]


def experiments(
    chosen: Sequence[Claim], config: dict[str, Any], terminal: Terminal
) -> Iterator[dict[str, Any]]:
    """The results of claims, as they come; the runs that they share are trained first."""
    how = (config["out"], config["seed"], config["fast"])
    needed = dict.fromkeys(name for claim in chosen for name in claim.runs)
    if config["jobs"] == 1:
        for name in needed:
            terminal.say(train_and_say(name, *how))
        for claim in chosen:
            yield show_claim(claim.number, *how)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(config["jobs"], mp_context=context) as pool:
        training: dict[Future[Any], str] = {
            pool.submit(train_and_say, name, *how): name for name in needed
        }
        waiting = list(chosen)
        shown: set[Future[Any]] = set()
        while training or waiting or shown:
            untrained = set(training.values())
            ready = [claim for claim in waiting if not untrained.intersection(claim.runs)]
            waiting = [claim for claim in waiting if claim not in ready]
            shown |= {pool.submit(show_claim, claim.number, *how) for claim in ready}
            done = wait({*training, *shown}, return_when=FIRST_COMPLETED).done
            for finished in done & training.keys():
                terminal.say(cast("str", finished.result()))
                del training[finished]
            for finished in done & shown:
                yield cast("dict[str, Any]", finished.result())
            shown -= done


def train_and_say(name: str, folder: str, seed: int, fast: bool) -> str:
    """Train a run; one that ends in an error leaves it to its claims to say so."""
    try:
        return f"trained {name}  ({train_run(name, folder, seed, fast):.0f} s)"
    except GanTrainError as error:
        return f"training {name} failed: {error}"


def line_of(result: dict[str, Any], *, done: int, total: int) -> str:
    """A result as a line while others are still to come."""
    return (
        f"{done}/{total}  {result['number']:>2} {result['name']}: {result['verdict']}"
        f"  ({result['seconds']:.0f} s)"
    )


def table_of(results: Sequence[dict[str, Any]]) -> Table:
    """All results, each with its first number."""
    table = Table(title="claims", title_justify="left")
    for heading in ("", "claim", "number", "limit", "verdict", "s"):
        table.add_column(heading, justify="right" if heading in ("", "number", "s") else "left")
    for result in results:
        checks = sorted(result["checks"], key=lambda check: check["passes"])
        # The claim's own number, or the first that is out of bounds.
        first: dict[str, Any] = next(iter(checks), NOTHING)
        table.add_row(
            str(result["number"]),
            result["name"],
            number(first["value"]),
            first["limit"],
            result["verdict"],
            f"{result['seconds']:.0f}",
        )
    return table
