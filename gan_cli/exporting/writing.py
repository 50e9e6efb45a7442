"""Writes one format of an export into a folder: the weights, and the scripts that use them."""

from __future__ import annotations

import importlib.util
import logging
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from torch.export import ExportedProgram

from gan_cli.errors import Problem, UserError
from gan_cli.exporting.network import Exported
from gan_cli.exporting.scripts import generate_script, model_script
from gan_cli.exporting.source import weights_of
from gan_cli.noise import Noise

Traced = tuple[Exported, ExportedProgram]
#: What writes and checks each format.
LIBRARIES = {
    "onnx": ("onnx", "onnxscript", "onnxruntime"),
    "pt2": (),
    "safetensors": ("safetensors",),
}
FORMATS = tuple(LIBRARIES)


def formats_of(chosen: str) -> list[str]:
    """The formats that `format=` names."""
    return list(FORMATS) if chosen == "all" else [chosen]


def missing_libraries(formats: Sequence[str]) -> list[Problem]:
    """A problem for each format whose libraries are not installed."""
    problems = []
    for name in formats:
        missing = [each for each in LIBRARIES[name] if importlib.util.find_spec(each) is None]
        if missing:
            advice = f"needs {', '.join(missing)}: pip install 'gan-train[export]'"
            problems.append(Problem("format", name, advice))
    return problems


def write_format(format_: str, networks: Sequence[Traced], noise: Noise | None, to: Path) -> None:
    """Write a format's files into a folder.

    Args:
        format_: `onnx`, `pt2` or `safetensors`.
        networks: one, or one each way, with their graphs.
        noise: the prior; None: images are translated.
        to: the folder; made if it is not there.

    Raises:
        UserError: the graph cannot be written in this format.
    """
    to.mkdir(exist_ok=True)
    for exported, program in networks:
        file = to / f"{exported.name}.{format_}"
        try:
            if format_ == "onnx":
                write_onnx(exported, program, file)
            elif format_ == "pt2":
                torch.export.save(program, file)
            else:
                from safetensors.torch import save_file

                save_file(weights_of(exported, program), file, metadata={"format": "pt"})
        except (RuntimeError, ValueError, TypeError, KeyError, AttributeError) as error:
            reason = " ".join(str(error).split())[:300]
            advice = f"cannot hold {exported.name} ({reason}). Try another format"
            raise UserError(Problem("format", format_, advice)) from error
    if format_ == "safetensors":
        (to / "model.py").write_text(model_script(list(networks)), encoding="utf-8")
    script = generate_script(format_, [exported for exported, _ in networks], noise)
    (to / "generate.py").write_text(script, encoding="utf-8")


def write_onnx(exported: Exported, program: ExportedProgram, file: Path) -> None:
    """Write an ONNX file, weights inside, whose inputs have names."""
    names = [each.name for each in exported.inputs]
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)  # it reports its progress as warnings
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                program,
                (),
                file,
                input_names=names,
                output_names=["images" if exported.target.is_image else "points"],
                dynamo=True,
                external_data=False,
                verbose=False,
            )
    finally:
        logger.setLevel(level)
