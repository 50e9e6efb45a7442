"""gan-export: the generators of a run as files for other programs, held against the live model."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gan_cli.errors import GanTrainError, Problem, UserError, choice_problems, is_out_of_memory
from gan_cli.exporting.card import Export, write_card
from gan_cli.exporting.graph import trace
from gan_cli.exporting.network import exported_networks
from gan_cli.exporting.verify import TOLERANCE, cases_of, largest_difference
from gan_cli.exporting.writing import FORMATS, formats_of, missing_libraries, write_format
from gan_cli.games.from_noise import FromNoise
from gan_cli.loading import TrainedModel, open_run
from gan_cli.noise import Noise
from gan_cli.system.terminal import Terminal

PIXELS = ("float", "uint8")


class DifferentError(GanTrainError):
    """An exported file does not compute what the live model does."""


def run(config: dict[str, Any], from_command_line: list[str]) -> int:  # noqa: ARG001
    """gan-export: write the files, and hold them against the live model.

    Args:
        config: resolved, plain containers.
        from_command_line: the keys that the command line names; unused here.

    Raises:
        UserError: the run, a value or a place is not usable.
        DifferentError: a file computes something else.
    """
    if problems := config_problems(config):
        raise UserError(problems)
    terminal, out = Terminal(), Path(config["out"])
    model = open_run({**config, "device": "cpu"}, terminal)
    try:
        with in_place_of(out) as folder:
            export_to(folder, model, config, terminal)
    except OSError as error:
        reason = error.strerror or error
        raise UserError(Problem("out", out, f"cannot be written ({reason}).")) from error
    except (RuntimeError, MemoryError) as error:
        if is_out_of_memory(error):
            raise GanTrainError("out of memory: the exported files are not verified.") from error
        raise
    terminal.say(f"step {model.step}: written to {out}{os.sep}; README.md there shows its use.")
    return 0


def export_to(
    folder: Path, model: TrainedModel, config: dict[str, Any], terminal: Terminal
) -> None:
    """Write all formats into an empty folder, verify them, and describe them.

    Raises:
        UserError: the model cannot be exported.
        DifferentError: a file computes something else.
    """
    networks = exported_networks(model, pixels=config["pixels"])
    traced = [(exported, trace(exported)) for exported in networks]
    noise = prior_of(model)
    cases = cases_of(model, networks)
    differences = {}
    formats = formats_of(config["format"])
    for name in formats:
        to = folder / name if len(formats) > 1 else folder
        write_format(name, traced, noise, to)
        difference = differences[name] = largest_difference(to, cases)
        terminal.say(
            f"{name}: differs from the live model by {difference:.1e} at most "
            f"({len(cases)} batches, {TOLERANCE:.0e} allowed)"
        )
        if not difference <= TOLERANCE:
            raise DifferentError(
                f"format={name}: differs from the live model by {difference:.1e}, but at most "
                f"{TOLERANCE:.0e} is allowed. Nothing is written. Another format may do"
            )
    write_card(Export(model, networks, differences, config["license"]), folder)


def prior_of(model: TrainedModel) -> Noise | None:
    """What noise is drawn from; None: the model translates.

    Raises:
        UserError: the prior is the user's own, and generate.py cannot draw from it.
    """
    if not isinstance(model.game, FromNoise):
        return None
    noise = model.game.noise
    try:
        noise.in_numpy("n")
    except NotImplementedError as error:
        advice = (
            f"{error} is not there: generate.py cannot draw from this prior. "
            "Give the class this method; gan_cli.noise.Normal shows how"
        )
        raise UserError(Problem("run", model.directory, advice)) from error
    return noise


def config_problems(config: dict[str, Any]) -> list[Problem]:
    """Every problem of the values."""
    problems = choice_problems("format", config["format"], (*FORMATS, "all"))
    if not problems:
        problems += missing_libraries(formats_of(config["format"]))
    problems += choice_problems("pixels", config["pixels"], PIXELS)
    license_ = config["license"]
    if license_ is not None and (not license_.strip() or len(license_.splitlines()) > 1):
        advice = "name a licence, like mit or cc-by-4.0, or null"
        problems.append(Problem("license", license_, advice))
    if not config["out"]:
        return [*problems, Problem("out", config["out"], "name a folder to write to")]
    out = Path(config["out"])
    if out.is_dir() and any(out.iterdir()):
        problems.append(Problem("out", out, "holds files already. Give a new or an empty folder"))
    elif out.exists() and not out.is_dir():
        problems.append(Problem("out", out, "is a file; give a folder"))
    return problems


@contextmanager
def in_place_of(out: Path) -> Iterator[Path]:
    """A new folder beside `out`, which gets its name when the block ends without error.

    Raises:
        OSError: it could not be written or moved.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=".gan-export-", suffix=".tmp", dir=out.parent))
    try:
        yield folder
        mask = os.umask(0)
        os.umask(mask)
        folder.chmod(0o777 & ~mask)  # temporary folders are their owner's alone
        if out.is_dir():
            out.rmdir()
        folder.rename(out)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
