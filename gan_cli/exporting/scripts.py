"""The scripts of an export: generate.py, and the model.py of plain weights."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from torch.export import ExportedProgram

from gan_cli.data.files.decode import MODES
from gan_cli.exporting.network import Exported
from gan_cli.exporting.source import class_name, class_text
from gan_cli.noise import Noise
from gan_cli.pictures import enlargement

NUMBER, POINTS = 16, 1000  # samples that generate.py draws, of images and of points
#: What each format's generate.py imports, as pip knows it.
RUNTIMES = {
    "onnx": ("onnxruntime",),
    "pt2": ("torch",),
    "safetensors": ("torch", "safetensors"),
}


@cache
def templates() -> Environment:
    """The templates; what they hold is code, not HTML."""
    return Environment(  # noqa: S701
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def needed(format_: str, exported: Exported) -> list[str]:
    """The packages that an export's generate.py needs."""
    more = ["numpy", "pillow"] if exported.target.is_image else ["numpy"]
    return [*RUNTIMES[format_], *more]


def usage(exported: Exported) -> str:
    """The arguments of generate.py."""
    if exported.source is not None:
        return "photo.png translated.png --direction a2b"
    labels = " --labels 0" if takes_labels(exported) else ""
    return f"--number {number_of(exported)} --seed 0{labels}"


def number_of(exported: Exported) -> int:
    """How many samples generate.py draws by itself."""
    return NUMBER if exported.target.is_image else POINTS


def takes_labels(exported: Exported) -> bool:
    """Whether a generator is conditional."""
    return any(each.name == "labels" for each in exported.inputs)


def generate_script(format_: str, networks: list[Exported], noise: Noise | None) -> str:
    """The text of generate.py.

    Args:
        format_: of the weights.
        networks: one, or one each way.
        noise: the prior; None: images are translated.
    """
    first = networks[0]
    is_image, shape = first.target.is_image, first.target.shape
    (input_, *_) = first.inputs
    values = ""
    if is_image:
        values = ", bytes" if first.rounds else ", values in [0, 1]"
    return templates().get_template("generate.py.jinja").render(
        purpose="Translates an image." if noise is None else "Draws samples from noise.",
        usage=usage(first),
        needs=", ".join(needed(format_, first)),
        format=format_,
        source=first.source is not None,
        is_image=is_image,
        bytes=first.rounds,
        shape=", ".join(map(str, shape)),
        about_values=values,
        classes=first.target.classes if takes_labels(first) else 0,
        noise="" if noise is None else noise.in_numpy("number"),
        names=[each.name for each in first.inputs],
        masks=[each for each in first.inputs if each.dropped],
        number=number_of(first),
        zoom=enlargement(*shape[1:]) if is_image else 1,
        multiple=input_.multiple,
        smallest=input_.smallest,
        modes={each.direction: MODES[each.source.shape[0]] for each in networks if each.source},
    )  # fmt: skip


def model_script(networks: list[tuple[Exported, ExportedProgram]]) -> str:
    """The text of model.py."""
    classes = "\n\n\n".join(class_text(*each) for each in networks)
    listed = ", ".join(f'"{each.name}": {class_name(each)}' for each, _ in networks)
    return (
        '"""The generators in plain PyTorch, written by gan-export from their graphs."""\n\n'
        "import torch\nimport torch.nn.functional as F\nfrom torch import nn\n\n\n"
        f"{classes}\n\n\n#: By the names of their files.\nNETWORKS = {{{listed}}}\n"
    )
