"""The model card of an export, as Hugging Face reads it, its config.json and its picture."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import yaml

from gan_cli import __version__
from gan_cli.errors import printable
from gan_cli.exporting.network import Exported
from gan_cli.exporting.scripts import needed, takes_labels, templates, usage
from gan_cli.exporting.verify import BATCHES, TOLERANCE
from gan_cli.games.from_noise import FromNoise
from gan_cli.loading import TrainedModel
from gan_cli.page.evaluated import evaluation_rows
from gan_cli.page.reading import read_story
from gan_cli.page.story import Story
from gan_cli.pictures import draw, write_png
from gan_cli.runs.directory import is_run
from gan_cli.runs.log import last_picture
from gan_cli.runs.places import PATHS
from gan_cli.settings.defaults import overrides
from gan_cli.system.plain import read_plain
from gan_cli.system.shell import arguments

PICTURE, CARD, CONFIG = "examples.png", "README.md", "config.json"
SAMPLES = 64  # in the picture
SCALED = ", divided by the largest value where that is above 1,"
#: Keys of a config that say where files lie, and nothing of what was learned.
PLACES = (
    *("output_dir", "resume", "init_from", "inception", "debug", "dry_run", "trust_checkpoint"),
    "report",
)
#: Keys of `data` that name files.
FILES = (*PATHS, "shards")


@dataclass(frozen=True)
class Export:
    """What a card tells of.

    Attributes:
        model: the run.
        networks: what was exported.
        differences: from the live model, the largest of each format.
        license: as the user names it; None: not said.
    """

    model: TrainedModel
    networks: list[Exported]
    differences: dict[str, float]
    license: str | None


def write_card(export: Export, folder: Path) -> None:
    """Write the card, config.json and the picture into a folder that holds the files."""
    story = read_story(export.model.directory) if is_run(export.model.directory) else None
    picture = write_picture(export, folder)
    text = templates().get_template("README.md.jinja").render(
        front_matter=yaml.safe_dump(
            front_matter(export, story), sort_keys=False, allow_unicode=True
        ),
        picture=picture,
        **use_of(export),
        **training_of(export),
        metrics=(rows := evaluation_rows(story) if story else []),
        is_of_others=any(row["step"] != f"{export.model.step:,}" for row in rows),
        differences=export.differences,
        tolerance=TOLERANCE,
        scale="" if export.model.spec.is_image else SCALED,
        batches=", ".join(map(str, BATCHES)),
        license=export.license,
        version=__version__,
    )  # fmt: skip
    (folder / CARD).write_text(printable(text), encoding="utf-8")
    config = json.dumps(config_of(export), indent=2, ensure_ascii=False) + "\n"
    (folder / CONFIG).write_text(config, encoding="utf-8", errors="backslashreplace")


def write_picture(export: Export, folder: Path) -> str | None:
    """Leave a picture for the card.

    Returns:
        Its caption; None: there is no picture.
    """
    model = export.model
    if isinstance(model.game, FromNoise) and model.game.spec.is_image:
        samples = model.sample(SAMPLES, seed=0)
        write_png(folder / PICTURE, draw(samples, model.game.spec, real=samples[:0]))
        return f"{SAMPLES} samples of seed 0."
    try:
        (folder / PICTURE).write_bytes(read_plain(last_picture(model.directory)))
    except OSError:
        return None
    return "From the end of training; beside real data, which are the data's owner's."


def front_matter(export: Export, story: Story | None) -> dict[str, Any]:
    """What Hugging Face reads of a card."""
    translates = export.networks[0].source is not None
    is_image = export.networks[0].target.is_image
    task = "image-to-image" if translates else "unconditional-image-generation"
    name = str(export.model.config["data"]["name"])
    matter: dict[str, Any] = {
        "license": export.license or "unknown",
        "library_name": next(iter(export.differences)).replace("pt2", "pytorch"),
        "tags": ["gan", str(export.model.config["model"]["name"]), "gan-train"],
    }
    if is_image:
        matter["pipeline_tag"] = task
    metrics = measured_values(story, export.model.step) if story else []
    if metrics:
        results = {
            "task": {"type": task if is_image else "other"},
            "dataset": {"name": name, "type": name},
            "metrics": metrics,
        }
        matter["model-index"] = [
            {"name": export.model.directory.resolve().name, "results": [results]}
        ]
    return matter


def measured_values(story: Story, step: int) -> list[dict[str, Any]]:
    """The numbers of the card's table that were measured at `step`, as Hugging Face lists them."""
    values = {**story.newest(), **story.evaluation}
    metrics = []
    for row in evaluation_rows(story):
        key = row["key"]
        if row["step"] != f"{step:,}":
            continue
        entry = {"type": key, "name": key, "value": values[key]}
        if f"{key}_error" in values:
            entry["name"] = f"{key} (standard error {values[f'{key}_error']:.2g})"
        metrics.append(entry)
    return metrics


def use_of(export: Export) -> dict[str, Any]:
    """How the files are used."""
    first, formats = export.networks[0], list(export.differences)
    packages = dict.fromkeys(each for name in formats for each in needed(name, first))
    use = "It writes `samples.png`." if first.target.is_image else "It writes `samples.csv`."
    if first.source is not None:
        given = first.inputs[0]
        use = (
            "generate.py takes images of any size. The networks take sides that are multiples of "
            f"{given.multiple}, at least {given.smallest}."
        )
    if "pt2" in formats:
        use += f" The `.pt2` file was written by PyTorch {torch.__version__.split('+')[0]}."
    if "safetensors" in formats:
        use += " `model.py` holds the network in plain PyTorch."
    inputs = [
        (
            each.name,
            given.name,
            f"({', '.join(['n', *sides_of(given.shape, given.multiple)])})",
            meaning(each, given.name, given.dropped),
        )
        for each in export.networks
        for given in each.inputs
    ]
    names = first.target.class_names if takes_labels(first) else ()
    return {
        "folders": [f"{name}/" if len(formats) > 1 else "" for name in formats],
        "needs": list(packages),
        "usage": usage(first),
        "use": use,
        "inputs": inputs,
        "output": " ".join(map(output_of, export.networks)),
        "class_names": ", ".join(f"{number}: {name}" for number, name in enumerate(names)),
    }


def sides_of(shape: Sequence[int], multiple: int) -> list[str]:
    """The axes of one datum in words."""
    if not multiple:
        return [str(side) for side in shape]
    return [str(shape[0]), "height", "width"]


def meaning(exported: Exported, name: str, dropped: float) -> str:
    """What an input is."""
    if dropped:
        return f"float32, 0 with probability {dropped:g} and else 1: what dropout keeps"
    if name == "labels":
        return f"int64, 0 to {exported.target.classes - 1}"
    return "float32, as generate.py draws it" if name == "noise" else "float32 in [0, 1]"


def output_of(exported: Exported) -> str:
    """What comes out, as a sentence."""
    shape = ", ".join(["n", *map(str, exported.target.shape)])
    if not exported.target.is_image:
        return f"Points come out, float32 ({shape}), in the data's units."
    numbers = "uint8" if exported.rounds else "float32 in [0, 1]"
    if exported.source is None:
        return f"Images come out, {numbers}, ({shape})."
    shape = f"n, {exported.target.shape[0]}, height, width"
    return f"`{exported.name}` makes images, {numbers}, ({shape})."


def training_of(export: Export) -> dict[str, Any]:
    """What was trained, and how."""
    model, config = export.model, export.model.config
    data, name = str(config["data"]["name"]), str(config["model"]["name"])
    kind = "images" if model.spec.is_image else "points"
    verb = "translates" if export.networks[0].source is not None else "draws"
    between = " of one domain into the other" if verb == "translates" else ""
    return {
        "name": model.directory.resolve().name,
        "summary": (
            f"A generative adversarial network (`model={name}`) that {verb} {kind}{between}, "
            f"trained on `{data}` with gan-train."
        ),
        "data": data,
        "shape": f"{kind} of {model.spec.text}",
        "step": model.step,
        "weights": "as trained" if model.game.average is None else "averaged",
        "command": f"gan-train {arguments(**overrides(public(config)))}".rstrip(),
    }


def public(config: Mapping[str, Any]) -> dict[str, Any]:
    """A config without what names places on the machine that trained."""
    hidden = {key: value for key, value in config.items() if key not in PLACES}
    data = {key: value for key, value in config["data"].items() if key not in FILES}
    return {**hidden, "data": data}


def config_of(export: Export) -> dict[str, Any]:
    """What a program may want to know of the files."""
    model = export.model
    networks = {
        each.name: {
            "inputs": [asdict(given) for given in each.inputs],
            "output": {
                "shape": each.target.shape,
                "dtype": "uint8" if each.rounds else "float32",
                "range": [0, 255] if each.rounds else [0, 1] if each.target.is_image else None,
                "class_names": each.target.class_names,
            },
        }
        for each in export.networks
    }
    return {
        "model_type": "gan",
        "networks": networks,
        "formats": list(export.differences),
        "largest_difference": export.differences,
        "step": model.step,
        "weights": "as trained" if model.game.average is None else "averaged",
        "gan_train_version": __version__,
        "torch_version": torch.__version__,
        "python_version": platform.python_version(),
        "training": public(model.config),
    }
