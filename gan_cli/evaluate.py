"""gan-evaluate: the metrics of a checkpoint."""

from __future__ import annotations

import itertools
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.table import Table

from gan_cli.errors import GanTrainError, Problem, UserError, is_out_of_memory
from gan_cli.evaluation.registry import METRICS, choose, measure
from gan_cli.evaluation.subject import Results, Subject
from gan_cli.loading import TrainedModel, open_reference, open_run
from gan_cli.pictures import titled, write_png
from gan_cli.runs.directory import is_run, lock, require_contained, require_inside
from gan_cli.runs.events import write_events
from gan_cli.runs.log import number
from gan_cli.runs.records import line_at, merge_line
from gan_cli.settings.values import metrics_problems
from gan_cli.system.device import device_problems
from gan_cli.system.files import replacing
from gan_cli.system.plain import read_json
from gan_cli.system.terminal import Terminal

FILE, FOLDER = "evaluation.json", "evaluation"
MOST_SAMPLES = 1_000_000
#: What must be equal for two evaluations to stand in one file.
SAME = ("run", "step", "seed", "samples", "weights")


def run(config: dict[str, Any], from_command_line: list[str]) -> int:  # noqa: ARG001
    """gan-evaluate: measure, print, and keep the numbers beside the run.

    Args:
        config: resolved, plain containers.
        from_command_line: the keys that the command line names; unused here.

    Raises:
        UserError: the run, its data or a value is not usable, or a metric does not suit.
    """
    if problems := config_problems(config):
        raise UserError(problems)
    terminal = Terminal()
    model = open_run(config, terminal)
    folder = folder_of(model)
    if not config["out"] and is_run(folder):
        require_contained(folder)
    file = place_for(config["out"], folder)
    require_inside(beside(file) / "x", file.parent, key="out" if config["out"] else "run")
    reference = open_reference(config, model, terminal)
    subject = Subject(model.game, reference, n=config["n"], seed=config["seed"])
    names = choose(config["metrics"], subject, key="metrics", training=False)
    began = time.monotonic()
    try:
        results = measure(subject, names)
    except (RuntimeError, MemoryError) as error:
        if is_out_of_memory(error):
            raise GanTrainError(f"out of memory with n={config['n']}: take fewer.") from error
        raise
    record = {
        "run": str(model.directory.resolve()),
        "step": model.step,
        "seed": config["seed"],
        "samples": config["n"],
        "weights": "as trained" if model.game.average is None else "averaged",
        **results.scalars,
    }
    terminal.print(table(record))
    keep(record, results, model, file=file, terminal=terminal)
    if left_out := [name for name in METRICS if name not in names and config["metrics"] is None]:
        terminal.say(
            "not measured, as they do not suit the model, the data or n: "
            f"{', '.join(left_out)} (metrics=NAME says why)"
        )
    terminal.say(f"measured in {time.monotonic() - began:.0f} s")
    return 0


def config_problems(config: dict[str, Any]) -> list[Problem]:
    """Every problem of the values."""
    problems = metrics_problems("metrics", config["metrics"])
    if not 2 <= config["n"] <= MOST_SAMPLES:
        problems.append(Problem("n", config["n"], f"must lie between 2 and {MOST_SAMPLES}"))
    if config["seed"] < 0:
        problems.append(Problem("seed", config["seed"], "must be at least 0"))
    out = config["out"]
    if out is not None and (not out or Path(out).is_dir()):
        advice = f"is a folder; give a file, like {Path(out) / FILE}"
        problems.append(Problem("out", out, advice))
    return problems + device_problems(config["device"])


def folder_of(model: TrainedModel) -> Path:
    """The run directory, or the folder of a checkpoint without one."""
    return model.directory if model.directory.is_dir() else model.directory.parent


def place_for(out: str | None, folder: Path) -> Path:
    """The file for the numbers, which can be written and holds nothing else.

    Raises:
        UserError: it cannot, or it does.
    """
    file = Path(out) if out else folder / FILE
    if file.exists() and not set(SAME) <= read(file).keys():
        advice = "exists, and is no evaluation. Give another file: out=FILE"
        raise UserError(Problem("out", file, advice))
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=file.parent, prefix=".", suffix=".tmp"):
            pass
    except OSError as error:
        reason = error.strerror or error
        advice = f"cannot be written ({reason}). Give a place you may write to: out=FILE"
        raise UserError(Problem("out", file, advice)) from error
    return file


def keep(
    record: dict[str, Any],
    results: Results,
    model: TrainedModel,
    *,
    file: Path,
    terminal: Terminal,
) -> None:
    """Write evaluation.json and pictures, and enter the numbers into the run's own records.

    Raises:
        UserError: the file cannot be written.
    """
    folder = folder_of(model)
    try:
        before = read(file)
        if before and any(before.get(key) != record[key] for key in SAME):
            place = set_aside(file, step=before["step"])
            terminal.say(f"the earlier evaluation is now {place}, with its pictures")
            before = {}
        with replacing(file) as temporary:
            text = json.dumps({**before, **record}, indent=1, ensure_ascii=False) + "\n"
            # A path that is no UTF-8 is written as JSON writes it anyway: \\udcff.
            temporary.write_text(text, encoding="utf-8", errors="backslashreplace")
        written = [file]
        for name, picture in results.pictures.items():
            path = beside(file) / f"{name}_step_{record['step']:08d}.png"
            path.parent.mkdir(exist_ok=True)
            write_png(path, titled(picture, f"step {record['step']}, seed {record['seed']}"))
            written.append(path)
    except OSError as error:
        raise UserError(f"{file}: cannot be written ({error.strerror or error}).") from error
    terminal.say(f"written: {', '.join(map(str, written))}")
    if file != folder / FILE or not is_run(folder):
        return
    try:
        known = line_at(folder, record["step"]).get("eval/samples")
        if isinstance(known, int | float) and known > record["samples"]:
            terminal.say(
                f"note: metrics.jsonl keeps its values of {known:.0f} samples for this step"
            )
            return
        with lock(folder):
            scalars = {**results.scalars, "eval/samples": float(record["samples"])}
            afresh = known != record["samples"]
            merge_line(folder, record["step"], scalars, afresh=afresh)
            write_events(folder / FOLDER, record["step"], results.scalars, results.pictures)
    except (UserError, OSError) as error:
        terminal.say(f"note: metrics.jsonl and TensorBoard are left as they are ({error})")


def beside(file: Path) -> Path:
    """The folder of an evaluation's pictures."""
    return file.parent / (FOLDER if file.name == FILE else f"{file.stem}_files")


def set_aside(file: Path, *, step: object) -> Path:
    """Move an evaluation that another one would replace to a place of its own, with its pictures.

    Args:
        file: that holds it.
        step: that it is of; its pictures' names end in it.

    Raises:
        OSError: it cannot be moved.
    """
    folder = beside(file)
    folder.mkdir(exist_ok=True)
    places = (folder / f"earlier_{number}.json" for number in itertools.count(1))
    place = next(place for place in places if not place.exists())
    if isinstance(step, int):
        for picture in folder.glob(f"*_step_{step:08d}.png"):
            if not picture.name.startswith("earlier_"):
                picture.rename(picture.with_name(f"{place.stem}_{picture.name}"))
    file.rename(place)
    return place


def read(file: Path) -> dict[str, Any]:
    """An earlier evaluation; empty if there is none."""
    try:
        stored = read_json(file)
    except (OSError, ValueError):
        return {}
    return stored if isinstance(stored, dict) else {}


def table(record: dict[str, Any]) -> Table:
    """The numbers as a person reads them, each with its standard error."""
    title = (
        f"step {record['step']}, {record['weights']} weights, "
        f"{record['samples']} samples, seed {record['seed']}"
    )
    rows = Table(title=title, title_justify="left", show_header=False)
    for key, value in record.items():
        if key in SAME or (key.endswith("_error") and key.removesuffix("_error") in record):
            continue
        error = record.get(f"{key}_error")
        rows.add_row(key, number(value), f"+- {number(error)}" if error is not None else "")
    return rows
