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
from gan_cli.evaluation.reference import Reference, at_hand
from gan_cli.evaluation.registry import METRICS, choose, measure
from gan_cli.evaluation.subject import Results, Subject
from gan_cli.loading import TrainedModel, open_run
from gan_cli.pictures import titled, write_png
from gan_cli.runs.directory import is_run, lock, require_contained, require_inside
from gan_cli.runs.events import write_events
from gan_cli.runs.log import number
from gan_cli.runs.places import find_data
from gan_cli.runs.records import line_at, merge_line
from gan_cli.settings.build import load_data
from gan_cli.settings.trust import (
    load_without_download,
    path_notes,
    require_known_places,
    without_download,
)
from gan_cli.settings.values import metrics_problems
from gan_cli.system.device import device_problems, resolve_device
from gan_cli.system.files import replacing
from gan_cli.system.plain import read_json
from gan_cli.system.progress import LoadingBar
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
    reference = reference_of(config, model, terminal)
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


def reference_of(config: dict[str, Any], model: TrainedModel, terminal: Terminal) -> Reference:
    """The real data of a run, read from where they lie now.

    Raises:
        UserError: they cannot be read.
    """
    places = places_of_data(config, model)
    trained_on = {**model.config, "data": {**model.config["data"], **places}}
    progress, named = LoadingBar(), {f"data.{key}" for key in places}
    trained_on, notes = find_data(trained_on, model.folder, given=sorted(named))
    if config["trust_checkpoint"]:
        loaded = load_data(trained_on, progress=progress)
    else:
        require_known_places(trained_on)
        notes = [*notes, *path_notes(trained_on, named)]
        load = load_data if "data.root" in named else load_without_download
        loaded = load(trained_on, progress=progress)
        trained_on = trained_on if "data.root" in named else without_download(trained_on)
    for note in notes:
        terminal.say(f"note: {note}")
    dataset = at_hand(loaded, config["n"], progress)
    if dataset is not loaded:
        for note in dataset.notes:
            terminal.say(f"note: {note}")
    return Reference(
        trained_on,
        dataset,
        device=resolve_device(config["device"]),
        inception=config["inception"],
        progress=progress,
    )


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


def places_of_data(config: dict[str, Any], model: TrainedModel) -> dict[str, Any]:
    """Where data lie now, by the keys that the run's data have.

    Raises:
        UserError: they do not have such a key.
    """
    places = {key: value for key, value in config["data"].items() if value is not None}
    name = model.config["data"]["name"]
    problems = [
        Problem(f"data.{key}", value, f"data={name} has no such key")
        for key, value in places.items()
        if key not in model.config["data"]
    ]
    if problems:
        raise UserError(problems)
    return places


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
