"""gan-translate: a folder of images, or one, from one domain of a trained model to the other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import pad

from gan_cli.data.files.colours import hide
from gan_cli.data.files.decode import MODES, Reading, UnusableImageError, open_image
from gan_cli.data.files.framing import usual_reading
from gan_cli.errors import Problem, UserError, choice_problems, is_out_of_memory
from gan_cli.games.translating import DIRECTIONS, Direction, Translating
from gan_cli.loading import TrainedModel, open_run
from gan_cli.pictures import to_bytes
from gan_cli.runs.directory import require_inside
from gan_cli.spec import RGBA, DataSpec
from gan_cli.system.device import device_problems
from gan_cli.system.files import find_files, replacing
from gan_cli.system.progress import LoadingBar
from gan_cli.system.terminal import Terminal

#: Formats that are written as they came; anything else becomes PNG.
KEPT = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"}
WITHOUT_ALPHA = {".jpg", ".jpeg", ".bmp"}
MOST_MEGAPIXELS = 2000.0  # of a file
QUALITY = 95  # of JPEG and WebP


@dataclass(frozen=True)
class Translator:
    """Translates single images of any size and kind."""

    model: TrainedModel
    direction: Direction
    side_by_side: bool
    background: str  # as data.background

    @property
    def domains(self) -> tuple[DataSpec, DataSpec]:
        """Where images come from, and what they become."""
        game = self.model.translator
        return game.source_of(self.direction), game.target_of(self.direction)

    def __call__(self, image: Image.Image) -> Image.Image:
        """The image's translation, of its size; with `side_by_side`, beside the image itself.

        Gray images stay gray if the domain they come from is in colour; transparency is kept, or is
        the target domain's if one of the domains has it.
        """
        source, target = self.domains
        knows_alpha = RGBA in (source.shape[0], target.shape[0])
        alpha = image.getchannel("A") if image.mode in ("RGBA", "LA") and not knows_alpha else None
        gray = image.mode in ("L", "LA")
        seen = hide(image, self.background) if source.shape[0] == RGBA else image
        x = to_tensor(seen.convert(MODES[source.shape[0]]), source)
        enlarged = enlarge(x, *self.model.translator.side_rule())
        y = self.model.translate(enlarged, self.direction)[:, :, : x.shape[2], : x.shape[3]]
        pixels = to_bytes(y, target)[0].permute(1, 2, 0).numpy()
        result = Image.fromarray(np.ascontiguousarray(pixels))
        if (gray and source.shape[0] >= 3) or target.shape[0] == 1:
            result = result.convert("LA" if result.mode == "RGBA" else "L")
        if alpha is not None:
            result.putalpha(alpha)
        if "icc_profile" in image.info and result.mode in ("RGB", "RGBA"):
            result.info["icc_profile"] = image.info["icc_profile"]  # both are sRGB
        return beside(image, result) if self.side_by_side else result


def to_tensor(image: Image.Image, spec: DataSpec) -> Tensor:
    """An L, RGB or RGBA image as (1, C, H, W) in the range of `spec`."""
    pixels = torch.from_numpy(np.array(image))
    pixels = pixels[None] if pixels.dim() == 2 else pixels.permute(2, 0, 1)
    return spec.from_unit(pixels[None].float() / 255.0)


def enlarge(x: Tensor, multiple: int, smallest: int) -> Tensor:
    """Repeat the last row and column until both sides are such as generators take.

    Args:
        x: (n, C, H, W).
        multiple: of which both sides must be.
        smallest: length in pixels that both must have.
    """
    bottom, right = (max(smallest, -(-side // multiple) * multiple) - side for side in x.shape[2:])
    return pad(x, (0, right, 0, bottom), mode="replicate")


def beside(left: Image.Image, right: Image.Image) -> Image.Image:
    """Two images of one size in one, transparency over white."""
    sheet = Image.new("RGB", (left.width * 2, left.height), (255, 255, 255))
    for index, image in enumerate((left, right)):
        mask = image.getchannel("A") if image.mode in ("RGBA", "LA") else None
        sheet.paste(image.convert("RGB"), (index * left.width, 0), mask)
    return sheet


def run(config: dict[str, Any], from_command_line: list[str]) -> int:  # noqa: ARG001
    """gan-translate: translate all images, and name those that could not be.

    Args:
        config: resolved, plain containers.
        from_command_line: the keys that the command line names; unused here.

    Returns:
        0, or 2 if some files could not be read.

    Raises:
        UserError: the run, a value or a path is not usable.
    """
    if problems := config_problems(config):
        raise UserError(problems)
    source, output = Path(config["input"]), Path(config["output"])
    files = inputs(source, output)
    terminal = Terminal()
    model = open_run(config, terminal)
    if not isinstance(model.game, Translating):
        advice = f"model={model.config['model']['name']} does not translate. Use gan-sample."
        raise UserError(Problem("run", config["run"], advice))
    # As for training, whatever their size; background=auto shows nothing: transparency is kept.
    reading = usual_reading(model.config["data"], max_megapixels=MOST_MEGAPIXELS)
    side_by_side = config["side_by_side"]
    translator = Translator(model, config["direction"], side_by_side, reading.background)
    transparent = translator.domains[1].shape[0] == RGBA and not side_by_side
    targets = place(files, source, output, transparent=transparent)
    failed = translate_all(targets, translator, reading)
    count = len(files) - len(failed)
    written = output if is_file_for(source, output) else f"{output}/"
    terminal.say(f"{count} of {len(files)} images, {config['direction']}, written to {written}")
    if failed:
        listed = "\n".join(f"  {line}" for line in failed)
        advice = f"{len(failed)} files could not be translated:\n{listed}"
        raise UserError(Problem("input", source, advice))
    return 0


def translate_all(targets: dict[Path, Path], translator: Translator, reading: Reading) -> list[str]:
    """Translate files to where they go; which ones could not be, and why."""
    failed, progress = [], LoadingBar()
    for done, (file, target) in enumerate(targets.items(), start=1):
        try:
            image = translator(open_image(file, reading=reading))
        except UnusableImageError as error:
            failed.append(f"{file}: {error}")
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            failed.append(f"{file}: too large for the memory at hand")
        else:
            try:
                save(image, target)
            except (OSError, ValueError, KeyError) as error:
                reason = getattr(error, "strerror", None) or error
                failed.append(f"{file}: {target} cannot be written ({reason})")
        progress("translated", done, len(targets))
    return failed


def config_problems(config: dict[str, Any]) -> list[Problem]:
    """Every problem of the values."""
    empty = [Problem(key, "''", "name a path") for key in ("input", "output") if not config[key]]
    if empty:
        return empty
    problems = choice_problems("direction", config["direction"], DIRECTIONS)
    source, output = Path(config["input"]), Path(config["output"])
    if not source.exists():
        problems.append(Problem("input", source, "no such file or folder"))
    one = is_file_for(source, output)
    if output.is_file() and not one:
        problems.append(Problem("output", output, "is a file; give a folder"))
    if source.is_file() and output.suffix and not one and not output.is_dir():
        advice = f"no such format. Use {', '.join(sorted(KEPT))}, or a folder's name"
        problems.append(Problem("output", output, advice))
    if one:
        return problems + device_problems(config["device"])
    inside = source if source.is_dir() else source.parent
    if source.exists() and output.resolve() == inside.resolve():
        advice = "holds the input, which would be overwritten"
        problems.append(Problem("output", output, advice))
    return problems + device_problems(config["device"])


def inputs(source: Path, output: Path) -> list[Path]:
    """All files below a folder but hidden ones and earlier output; or the one file.

    Raises:
        UserError: there are none.
    """
    if source.is_file():
        return [source]
    out, inside = output.resolve(), output.resolve() != source.resolve()
    inside = inside and output.resolve().is_relative_to(source.resolve())
    files = [
        path for path in find_files(source) if not (inside and path.resolve().is_relative_to(out))
    ]
    if not files:
        raise UserError(Problem("input", source, "no files in it"))
    return files


def is_file_for(source: Path, output: Path) -> bool:
    """Whether `output` names the file that one translated image goes to."""
    return source.is_file() and output.suffix.lower() in KEPT and not output.is_dir()


def target_name(name: Path, *, transparent: bool) -> Path:
    """The same name; `.png` is added to those of formats that are not written."""
    kept = KEPT - WITHOUT_ALPHA if transparent else KEPT
    return name if name.suffix.lower() in kept else name.with_name(name.name + ".png")


def place(
    files: list[Path], source: Path, output: Path, *, transparent: bool = False
) -> dict[Path, Path]:
    """Where each translation goes.

    Args:
        files: to translate.
        source: the folder that they are in, or the one file.
        output: a folder, or a file for the one file.
        transparent: the format must hold transparency.

    Raises:
        UserError: two would go to one place, or one over an input; or the one file's format does
            not suit.
    """
    if is_file_for(source, output):
        if transparent and output.suffix.lower() in WITHOUT_ALPHA:
            advice = f"cannot hold transparency, which this run makes; use {output.stem}.png"
            raise UserError(Problem("output", output, advice))
        if output.resolve() == source.resolve():
            advice = "is the input, which would be overwritten. Give another name"
            raise UserError(Problem("output", output, advice))
        return {source: output}
    root = source if source.is_dir() else source.parent
    targets = {
        file: output / target_name(file.relative_to(root), transparent=transparent)
        for file in files
    }
    for target in targets.values():
        require_inside(target, output, key="output")
    sources = {file.resolve() for file in files}
    taken: dict[Path, Path] = {}
    for file, target in targets.items():
        if target.resolve() in sources:
            advice = f"{target} is an input, and would be overwritten"
            raise UserError(Problem("output", output, advice))
        if target in taken:
            both = f"{taken[target]} and {file} would both be written to {target}"
            raise UserError(Problem("output", output, f"{both}. Rename one of them"))
        taken[target] = file
    return targets


def save(image: Image.Image, path: Path) -> None:
    """Write an image in the format that its name says, whole or not at all.

    Raises:
        OSError: it could not be written.
        ValueError: the format cannot hold it.
    """
    suffix = path.suffix.lower()
    if suffix in WITHOUT_ALPHA and image.mode in ("RGBA", "LA"):
        image = image.convert(image.mode.removesuffix("A"))
    if suffix == ".webp" and image.mode == "LA":
        image = image.convert("RGBA")
    options = {"quality": QUALITY} if suffix in (".jpg", ".jpeg", ".webp") else {}
    if "icc_profile" in image.info:
        options["icc_profile"] = image.info["icc_profile"]
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        image.save(temporary, format=Image.registered_extensions()[suffix], **options)
