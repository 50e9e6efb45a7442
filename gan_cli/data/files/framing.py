"""How an image of any size becomes one of the configured size: scaled, cut, mirrored."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from gan_cli.data.augment import Augment
from gan_cli.data.files.colours import is_colour
from gan_cli.data.files.decode import MOST_MEGAPIXELS, USUAL, Reading, Resize, Shape
from gan_cli.data.images import channels_rule, sides
from gan_cli.errors import Rule, as_typed, require
from gan_cli.spec import RGBA

Crop = Literal["center", "random"]
AUTO = "auto"  # the background that shows most drawings


def workers_rule(workers: int | None) -> Rule:
    """How many processes may read files, for `gan_cli.errors.require`."""
    return workers is None or workers >= 0, "workers", workers, "must be 0 or more, or null"


def reading_of(levels: Sequence[float] | None, background: str, max_megapixels: float) -> Reading:
    """The keys that say how files become 8 bits, as one; `reading_rules` checks it.

    Raises:
        SettingsError: `levels` are no two numbers.
    """
    if levels is None:
        return Reading(None, background, max_megapixels)
    is_pair = len(levels) == 2 and all(isinstance(level, int | float) for level in levels)
    require((is_pair, "levels", levels, "give [low,high], or null"))
    return Reading((float(levels[0]), float(levels[1])), background, max_megapixels)


def usual_reading(data: Mapping[str, Any], *, max_megapixels: float = MOST_MEGAPIXELS) -> Reading:
    """How files that are no training data become 8 bits: as those of a run's data do.

    Args:
        data: the run's config of its data; those that come from no image files have no such keys.
        max_megapixels: above which an image cannot be used.
    """
    levels = data.get("levels")
    background = str(data.get("background"))  # auto looks at the training data: it names no colour
    background = background if is_colour(background) else USUAL.background
    return reading_of(levels, background, max_megapixels)


def reading_rules(reading: Reading) -> tuple[Rule, ...]:
    """What must hold of the keys of a `Reading`, for `gan_cli.errors.require`."""
    low, high = reading.levels or (0.0, 1.0)
    background = reading.background
    return (
        (
            -math.inf < low < high < math.inf,
            "levels",
            reading.levels,
            "must be [low,high], the first the smaller one",
        ),
        (
            background == AUTO or is_colour(background),
            "background",
            background,
            "use white, black, auto or a colour, quoted: 'data.background=\"#336699\"'",
        ),
        (
            0 < reading.max_megapixels < math.inf,
            "max_megapixels",
            reading.max_megapixels,
            "must be above 0",
        ),
    )


@dataclass(frozen=True, kw_only=True)
class Framing:
    """The keys that all sources of image files have in common.

    Attributes:
        channels: 1 (gray), 3 (RGB) or 4 (RGBA).
        image_size: N or (height, width) of what networks see, in pixels.
        load_size: N or (height, width) that images are scaled to before the crop; None:
            `image_size`.
        resize: see `gan_cli.data.files.decode.decode`.
        crop: from the middle, or anew at random each time.
        flip: mirror left and right at random.
        reading: how files become 8 bits.
    """

    channels: int
    image_size: int | Sequence[int]
    load_size: int | Sequence[int] | None
    resize: Resize
    crop: Crop
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
    def loaded(self) -> tuple[int, int]:
        """(height, width) that images are scaled to.

        Raises:
            SettingsError: `load_size` is no size.
        """
        return self.size if self.load_size is None else sides("load_size", self.load_size)

    def rules(self) -> tuple[Rule, ...]:
        """What must hold, for `gan_cli.errors.require`."""
        (height, width), (load_height, load_width) = self.size, self.loaded
        image_size = as_typed(self.image_size)
        return (
            channels_rule("channels", self.channels),
            *reading_rules(self.reading),
            (
                self.channels != RGBA or self.reading.background != AUTO,
                "background",
                AUTO,
                "with 4 channels, transparent pixels stay transparent. Use white, black or a "
                "colour, which is hidden in them",
            ),
            (
                load_height >= height and load_width >= width,
                "load_size",
                self.load_size,
                f"must not be smaller than image_size={image_size}",
            ),
            (
                self.crop == "center" or self.loaded != self.size,
                "crop",
                self.crop,
                f"needs a load_size larger than image_size={image_size} to crop from",
            ),
        )

    @property
    def shape(self) -> Shape:
        """How files are decoded; with random crops the whole image is kept, to be cut anew."""
        kept = self.loaded if self.crop == "random" else self.size
        return Shape(
            channels=self.channels,
            height=kept[0],
            width=kept[1],
            load_height=self.loaded[0],
            load_width=self.loaded[1],
            resize=self.resize,
            reading=self.reading,
        )

    @property
    def augment(self) -> Augment | None:
        """What is done to each image anew each time; None: nothing."""
        if self.crop == "random" or self.flip:
            return Augment(*self.size, flip=self.flip)
        return None
