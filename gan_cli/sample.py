"""gan-sample: pictures and arrays of samples from a trained run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from torch import Tensor

from gan_cli.errors import Problem, SettingsError, UserError
from gan_cli.games.from_noise import FromNoise
from gan_cli.loading import open_run
from gan_cli.pictures import titled, to_bytes, write_png
from gan_cli.runs.directory import is_run, require_contained, require_inside
from gan_cli.sampling.arrays import write_array
from gan_cli.sampling.check import PLACES, config_problems
from gan_cli.sampling.modes import FOR_EACH_LABEL, FOR_POINTS, MODES
from gan_cli.sampling.request import Request
from gan_cli.system.terminal import Terminal

#: Keys that tell pictures of one mode apart.
NAMED = ("attribute", "a", "b", "c", "interpolation", "network", "layer", "starts", "steps")
NO_NAME = r"[^\w.-]+"  # what names of files are kept free of


def run(config: dict[str, Any], from_command_line: list[str]) -> int:  # noqa: ARG001
    """gan-sample: write what the config asks for, and say where.

    Args:
        config: resolved, plain containers.
        from_command_line: the keys that the command line names; unused here.

    Raises:
        UserError: the run or a value is not usable, or the place cannot be written.
    """
    if problems := config_problems(config):
        raise UserError(problems)
    terminal = Terminal()
    request = open_request(config, terminal)
    model, mode = request.model, config["mode"]
    seeds = "-".join(map(str, request.seeds))
    details = details_of(config)
    named = "".join(f"_{key}_{re.sub(NO_NAME, '-', text)}" for key, text in details.items())
    default = model.directory / "samples" / f"{mode}_step_{model.step:08d}_seed_{seeds}{named}"
    out = Path(config["out"]) if config["out"] else default
    if not config["out"]:
        if is_run(model.directory):
            require_contained(model.directory)
        require_inside(default, model.directory, key="run")
    try:
        written, notes = written_or_place(request, out)
    except OSError as error:
        raise UserError(unwritable(out, error)) from error
    if (make := MODES[mode]) is not None:
        drawn = make(request)
        more = "".join(f", {key}={text}" for key, text in details.items())
        title = f"{mode} of step {model.step}, seed {request.seeds[0]}{more}"
        try:
            write_png(written, titled(drawn.picture, title))
        except OSError as error:
            raise UserError(unwritable(out, error)) from error
        notes = drawn.notes
    for note in notes:
        terminal.say(note)
    average = "" if model.game.average is None else ", averaged weights"
    seeds = ", ".join(map(str, request.seeds))
    terminal.say(f"{mode} of step {model.step}, seed {seeds}{average}: {written}")
    return 0


def written_or_place(request: Request, out: Path) -> tuple[Path, tuple[str, ...]]:
    """Write files of a mode that draws no picture, with notes; or say where the picture goes.

    Raises:
        OSError: nothing can be written there.
        UserError: it is no place for this.
    """
    mode = request.config["mode"]
    if mode == "images":
        return write_images(request, out), ()
    return write_array(request, out) if mode == "array" else (place_for(out, mode), ())


def details_of(config: dict[str, Any]) -> dict[str, str]:
    """Keys of the mode that are given: pictures of different ones get names of their own."""
    given = {key: config[key] for key in NAMED if config[key] is not None}
    if config["input"]:
        given["input"] = Path(config["input"]).stem
    return {
        key: "-".join(map(str, value)) if isinstance(value, list) else str(value)
        for key, value in given.items()
    }


def open_request(config: dict[str, Any], terminal: Terminal) -> Request:
    """The run, and what is asked of it.

    Raises:
        UserError: the run cannot be used, or is not one for this.
    """
    model = open_run(config, terminal)
    if not isinstance(model.game, FromNoise):
        advice = (
            f"is of model={model.config['model']['name']}, which draws no samples from noise. "
            f"Translate with it: gan-translate run={config['run']} input=FOLDER output=FOLDER"
        )
        raise UserError(Problem("run", config["run"], advice))
    try:
        request = Request(model, config, model.label_numbers(config["labels"]), terminal)
    except SettingsError as error:
        raise UserError(error.problems) from error
    except ValueError as error:
        raise UserError(str(error)) from error
    mode, asked = config["mode"], config["labels"]
    if isinstance(asked, list) and mode in FOR_EACH_LABEL and request.n < len(asked):
        raise UserError(Problem("n", request.n, f"is fewer than the {len(asked)} labels asked for"))
    if mode == "grid" and request.spec.is_image and (place := given_place(config)):
        advice = "only a grid of points shows data; of images it shows samples alone"
        raise UserError(Problem(*place, advice))
    if mode not in FOR_POINTS and not request.spec.is_image:
        advice = " or ".join(f"mode={name}" for name in FOR_POINTS)
        raise UserError(Problem("mode", mode, f"the run's data are points. Use {advice}."))
    return request


def given_place(config: dict[str, Any]) -> tuple[str, str] | None:
    """A key that says where data lie, and its value; None: none is given."""
    given = ((key, config["data"][key.removeprefix("data.")]) for key in PLACES)
    return next((place for place in given if place[1] is not None), None)


def unwritable(out: Path, error: OSError) -> Problem:
    """Why nothing can be written there."""
    return Problem("out", out, f"cannot be written ({error.strerror or error}).")


def place_for(out: Path, mode: str) -> Path:
    """Where one picture goes; `.png` is added if it is missing.

    Raises:
        UserError: it is a folder, or a picture of another format.
    """
    if out.suffix.lower() in (".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".tif", ".tiff"):
        advice = f"pictures are written as .png; give {out.with_suffix('.png')}"
        raise UserError(Problem("out", out, advice))
    if out.is_dir():
        advice = f"is a folder; mode={mode} writes one file, like {out / 'x.png'}"
        raise UserError(Problem("out", out, advice))
    path = out if out.suffix.lower() == ".png" else out.with_name(out.name + ".png")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def write_images(request: Request, out: Path) -> Path:
    """One picture a sample, at its own size, in a folder; with labels, in one folder for each.

    The names of several seeds' pictures say the seed.
    """
    spec = request.spec
    images: dict[str, Tensor] = {}
    for seed in request.seeds:
        samples, labels, _ = request.in_rows(seed)
        digits = len(str(len(samples) - 1))
        prefix = f"seed_{seed}_" if len(request.seeds) > 1 else ""
        for index, image in enumerate(to_bytes(samples, spec)):
            folder = "" if labels is None else f"{spec.name_of(labels[index])}/"
            images[f"{folder}{prefix}{index:0{digits}d}.png"] = image
    out.mkdir(parents=True, exist_ok=True)
    files = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    others = sorted(files - images.keys())
    if others:
        advice = f"holds other files ({others[0]}, ...). Give an empty folder."
        raise UserError(Problem("out", out, advice))
    for name in images:
        require_inside(out / name, out, key="out")
    for name, image in images.items():
        gray = spec.shape[0] == 1
        (out / name).parent.mkdir(exist_ok=True)
        write_png(out / name, image[0].numpy() if gray else image.permute(1, 2, 0).numpy())
    return out
