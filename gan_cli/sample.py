"""gan-sample: pictures from a trained run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from gan_cli.errors import Problem, SettingsError, UserError, choice_problems
from gan_cli.loading import open_run
from gan_cli.pictures import titled, to_bytes, write_png
from gan_cli.runs.directory import is_run, require_contained, require_inside
from gan_cli.sampling import ARITHMETIC, INTERPOLATIONS, MODES, Request
from gan_cli.settings.values import seed_problems
from gan_cli.system.device import device_problems
from gan_cli.system.terminal import Terminal

MOST_INDEX = 1_000_000


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
    model = open_run(config, terminal)
    try:
        request = Request(model, config, model.label_numbers(config["labels"]))
    except SettingsError as error:
        raise UserError(error.problems) from error
    except ValueError as error:
        raise UserError(str(error)) from error
    mode = config["mode"]
    asked = config["labels"]
    if isinstance(asked, list) and mode != "arithmetic" and request.n < len(asked):
        raise UserError(Problem("n", request.n, f"is fewer than the {len(asked)} labels asked for"))
    if mode != "grid" and not request.spec.is_image:
        raise UserError(Problem("mode", mode, "the run's data are points. Use mode=grid."))
    seeds = "-".join(map(str, request.seeds))
    default = model.directory / "samples" / f"{mode}_step_{model.step:08d}_seed_{seeds}"
    out = Path(config["out"]) if config["out"] else default
    if not config["out"]:
        if is_run(model.directory):
            require_contained(model.directory)
        require_inside(default, model.directory, key="run")
    make = MODES[mode]
    try:
        if make is None:
            written = write_images(request, out)
        else:
            written = place_for(out, mode)
            title = f"{mode} of step {model.step}, seed {request.seeds[0]}"
            write_png(written, titled(make(request), title))
    except OSError as error:
        reason = f"cannot be written ({error.strerror or error})."
        raise UserError(Problem("out", out, reason)) from error
    average = "" if model.game.average is None else ", averaged weights"
    seeds = ", ".join(map(str, request.seeds))
    terminal.say(f"{mode} of step {model.step}, seed {seeds}{average}: {written}")
    return 0


def config_problems(config: dict[str, Any]) -> list[Problem]:
    """Every problem of a sampling config."""
    mode, kind, labels, n = (config[key] for key in ("mode", "interpolation", "labels", "n"))
    problems = choice_problems("mode", mode, list(MODES))
    if kind is not None:
        problems += choice_problems("interpolation", kind, INTERPOLATIONS)
    if n is not None and not 1 <= n <= MOST_INDEX:
        problems.append(Problem("n", n, f"must lie between 1 and {MOST_INDEX}"))
    if n is not None and mode == "arithmetic":
        problems.append(Problem("n", n, "mode=arithmetic takes a, b and c instead"))
    if kind is not None and mode in MODES and mode != "interpolate":
        problems.append(Problem("interpolation", kind, "only mode=interpolate uses it"))
    if not (
        labels is None
        or is_label(labels)
        or (isinstance(labels, list) and labels and all(map(is_listed, labels)))
    ):
        problems.append(Problem("labels", labels, "give one label, or a list like [0,1]"))
    for key in ARITHMETIC:
        problems += index_problems(key, config[key], mode)
    problems += seed_problems(config["seed"], may_be_list=mode not in MODES or mode == "images")
    return problems + device_problems(config["device"])


def is_label(value: object) -> bool:
    """A number or a name, which YAML may read as another type: a folder can be called 0.5."""
    return isinstance(value, int | float | str)


def is_listed(value: object) -> bool:
    """A label in a list, where null is the name of a folder."""
    return value is None or is_label(value)


def index_problems(key: str, indices: Any, mode: str) -> list[Problem]:
    """What is wrong with one of mode=arithmetic's lists."""
    if indices is None:
        return []
    if mode != "arithmetic":
        return [Problem(key, indices, "only mode=arithmetic uses it")]
    if not indices or not all(0 <= index <= MOST_INDEX for index in indices):
        return [
            Problem(key, indices, "give numbers of samples, as mode=sheet shows them, like [0,1,2]")
        ]
    return []


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
