"""How an image of any size becomes one of the size asked for: scaled, cut, mirrored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from gan_cli.data.augment import Augment
from gan_cli.data.files.cache import Shape
from gan_cli.data.files.decode import Resize
from gan_cli.data.images import sides


@dataclass(frozen=True)
class Framing:
    """The keys that all sources of image files have in common.

    Attributes:
        channels: 1 (gray) or 3 (RGB).
        image_size: N or (height, width) of what networks see.
        load_size: scaled to this before the crop; None: `image_size`.
        resize: see `gan_cli.data.files.decode.decode`.
        crop: from the middle, or anew at random each time.
        flip: mirror left and right at random.
    """

    channels: int
    image_size: int | Sequence[int]
    load_size: int | Sequence[int] | None
    resize: Resize
    crop: Literal["center", "random"]
    flip: bool

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of what networks see.

        Raises:
            ValueError: `image_size` is none.
        """
        return sides("image_size", self.image_size)

    @property
    def loaded(self) -> tuple[int, int]:
        """(height, width) that images are scaled to.

        Raises:
            ValueError: `load_size` is none.
        """
        return self.size if self.load_size is None else sides("load_size", self.load_size)

    def rules(self) -> tuple[tuple[bool, str], ...]:
        """What must hold, for `gan_cli.errors.require`."""
        (height, width), (load_height, load_width) = self.size, self.loaded
        return (
            (self.channels in (1, 3), f"channels={self.channels}: 1 (gray) or 3 (RGB)"),
            (
                load_height >= height and load_width >= width,
                f"load_size={self.load_size}: must not be smaller than "
                f"image_size={self.image_size}",
            ),
            (
                self.crop == "center" or self.loaded != self.size,
                f"crop=random: needs a load_size larger than image_size={self.image_size} to "
                "crop from",
            ),
        )

    @property
    def shape(self) -> Shape:
        """What is kept of a file: with random crops all of it, to be cut anew each time."""
        kept = self.loaded if self.crop == "random" else self.size
        return Shape(self.channels, *kept, *self.loaded, self.resize)

    @property
    def augment(self) -> Augment | None:
        """What is done anew each time; None: nothing."""
        if self.crop == "random" or self.flip:
            return Augment(*self.size, flip=self.flip)
        return None
