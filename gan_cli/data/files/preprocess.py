"""How photos of two domains become images of one size, by the words of the authors' code.

The words are the values of `--preprocess` in the authors' code of CycleGAN (Zhu et al. 2017).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from PIL import Image

from gan_cli.data.files.decode import USUAL, Reading, Resize, UnusableImageError, open_header
from gan_cli.data.files.framing import Crop, Framing
from gan_cli.data.files.kinds import DAMAGE
from gan_cli.data.files.listing import folder_problem, list_files
from gan_cli.data.images import sides
from gan_cli.errors import Rule, UserError, as_typed

Preprocess = Literal["resize_and_crop", "resize", "crop", "scale_width", "none"]
ORIENTATION = 0x0112  # in EXIF data
ON_THEIR_SIDE = (5, 6, 7, 8)
#: What each word means for `Framing`.
METHODS: dict[Preprocess, tuple[Resize, Crop]] = {
    "resize_and_crop": ("stretch", "random"),
    "resize": ("stretch", "center"),
    "crop": ("none", "random"),
    "scale_width": ("cover", "center"),
    "none": ("none", "center"),
}


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """The keys that say how photos of both domains are brought to one size.

    Attributes:
        method: one of `METHODS`.
        image_size: N or (height, width) of what networks see, in pixels.
        load_size: N or (height, width) that `resize_and_crop` scales to; None for the others.
        flip: mirror left and right at random.
        reading: how files become 8 bits.
    """

    method: Preprocess
    image_size: int | Sequence[int]
    load_size: int | Sequence[int] | None
    flip: bool
    reading: Reading = USUAL

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of what networks see.

        Raises:
            SettingsError: `image_size` is no size.
        """
        return sides("image_size", self.image_size)

    @property
    def larger_size(self) -> tuple[int, int]:
        """Some (height, width) that leaves a random crop a choice: `load_size`, if there is one.

        Raises:
            SettingsError: `load_size` is no size.
        """
        if self.load_size is not None:
            return sides("load_size", self.load_size)
        return self.size[0] + 1, self.size[1] + 1

    def load_size_rules(self) -> tuple[Rule, ...]:
        """Whether there must be a `load_size`, for `gan_cli.errors.require`."""
        image_size = as_typed(self.image_size)
        scales = self.method == "resize_and_crop"
        return (
            (
                not scales or self.load_size is not None,
                "load_size",
                self.load_size,
                f"preprocess=resize_and_crop needs one, larger than image_size={image_size}",
            ),
            (
                scales or self.load_size is None,
                "load_size",
                self.load_size,
                "only preprocess=resize_and_crop uses it; set it to null",
            ),
        )

    def size_rule(self) -> Rule:
        """How large `load_size` must be, for `gan_cli.errors.require`."""
        (height, width), (load_height, load_width) = self.size, self.larger_size
        return (
            load_height >= height and load_width >= width and self.larger_size != self.size,
            "load_size",
            self.load_size,
            f"must be larger than image_size={as_typed(self.image_size)}",
        )

    def framing(self, channels: int, *, common_size: tuple[int, int]) -> Framing:
        """How the training photos of one domain are framed.

        Args:
            channels: 1 (gray), 3 (RGB) or 4 (RGBA).
            common_size: (height, width) that all its photos have, which `crop` keeps of each.
        """
        resize, crop = METHODS[self.method]
        load_size = self.load_size if crop == "random" else None
        if self.method == "crop":
            if common_size == self.size:  # a random crop has no choice
                crop = "center"
            else:
                load_size = common_size
        return Framing(
            channels=channels,
            image_size=self.size,
            load_size=load_size,
            resize=resize,
            crop=crop,
            flip=self.flip,
            reading=self.reading,
        )

    def preview_framing(self, channels: int) -> Framing:
        """How photos for previews are framed: the same size, and nothing at random.

        Args:
            channels: 1 (gray), 3 (RGB) or 4 (RGBA).
        """
        stretches = METHODS[self.method][0] == "stretch"
        return Framing(
            channels=channels,
            image_size=self.size,
            load_size=None,
            resize="stretch" if stretches else "cover",
            crop="center",
            flip=False,
            reading=self.reading,
        )


def common_size(
    folder: Path, *, key: str | None, least: tuple[int, int] = (1, 1)
) -> tuple[int, int]:
    """The largest (height, width) in pixels that all photos of a folder have, by their headers.

    Photos count the right way up, as their EXIF data say.

    Args:
        folder: the photos.
        least: (height, width) of the smallest photos that count, if there are any such.
        key: the config key that names the folder, for messages; None: no key names it.

    Raises:
        UserError: no such folder, or no photo in it.
    """
    sizes = []
    for name in list_files(folder, key=key).files:
        try:
            with open_header(folder / name) as opened:
                turned = opened.getexif().get(ORIENTATION) in ON_THEIR_SIDE
                sizes.append((opened.height, opened.width)[:: -1 if turned else 1])
        except (UnusableImageError, Image.DecompressionBombError, *DAMAGE):
            continue  # decoding reports it
    if not sizes:
        raise UserError(folder_problem(folder, "no usable image.", key=key))
    large = [size for size in sizes if size[0] >= least[0] and size[1] >= least[1]]
    heights, widths = zip(*(large or sizes), strict=True)
    return min(heights), min(widths)
