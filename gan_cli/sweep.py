"""Sweeps: every job of a multirun in its own folder, named after the keys that were swept."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Any

from gan_cli.config import split_arguments
from gan_cli.errors import UserError
from gan_cli.explain import BACKBONE, BACKBONE_GROUP
from gan_cli.shell import hydra_value


def sweep_arguments(arguments: list[str], *, output_dir: str) -> tuple[list[str], Path]:
    """Add what Hydra must know to put each job into `<output_dir>/<sweep name>/<job>/`.

    Args:
        arguments: the command line.
        output_dir: where runs lie, unless the command line says otherwise.

    Returns:
        The longer command line, and the sweep's folder.

    Raises:
        UserError: the sweep's name cannot be used.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser

    from gan_cli.rundir import claim, name_problem  # brings torch

    overrides = OverridesParser.create().parse_overrides(split_arguments(arguments)[0])
    fixed = {o.key_or_group: o.value() for o in overrides if not o.is_sweep_override()}
    output_dir, name = str(fixed.get("output_dir", output_dir)), fixed.get("name")
    if name is not None and (problem := name_problem(str(name))):
        raise UserError(problem)
    if name is None:
        directory = claim(Path(output_dir), name=None, label="sweep")
    else:
        directory = Path(output_dir) / str(name)
    unswept = ",".join(hydra_value(key) for key in fixed)
    added = [
        f"hydra.sweep.dir={hydra_value(str(directory))}",
        "hydra.sweep.subdir=.",  # a job claims its own folder
        "hydra.job.config.override_dirname.kv_sep=-",
        "hydra.job.config.override_dirname.item_sep=_",
        f"hydra.job.config.override_dirname.exclude_keys=[{unswept}]",
    ]
    return [*arguments, *added], directory


def discard_if_unused(directory: Path) -> None:
    """Remove the folder of a sweep that was refused before any job began."""
    if directory.is_dir() and {path.name for path in directory.iterdir()} <= {"multirun.yaml"}:
        (directory / "multirun.yaml").unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # other runs may lie beside it
            directory.rmdir()
            directory.parent.rmdir()


def job_name(hydra_config: Any) -> str:
    """`<sweep name>/<job>` of the job that runs now, in characters that need no quoting."""
    swept = hydra_config.job.override_dirname.replace(BACKBONE_GROUP, BACKBONE)
    swept = re.sub(r"[\[\]{}()'\" ]", "", swept)
    job = re.sub(r"[^A-Za-z0-9._-]", "-", swept)
    return f"{Path(hydra_config.sweep.dir).name}/{job or 'job'}"
