"""What was seen in image files while they were decoded, and the notes that follow from it."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

FULL = 65535  # the largest value of 16 bits
FAR_LESS = 0.5  # share of the range below which 16-bit images are dark
MOST = 0.9  # share of images that counts as nearly all


@dataclass
class Facts:
    """What was seen; one for each file, merged into one for all.

    Attributes:
        ranges: by kind of deep pixels: lowest and highest value, and number of images.
        paged: images that are the first of several pages or frames.
        profiles: images whose colour profile is broken.
        transparent: images that are transparent somewhere.
        blank: images of one colour.
        looks: how often each look was seen, by its digest.
        images: decoded ones.
    """

    ranges: dict[str, tuple[float, float, int]] = field(default_factory=dict)
    paged: int = 0
    profiles: int = 0
    transparent: int = 0
    blank: int = 0
    looks: Counter[bytes] = field(default_factory=Counter)
    images: int = 0

    def saw_range(self, kind: str, low: float, high: float, count: int = 1) -> None:
        """Note the values of an image with deep pixels."""
        before = self.ranges.get(kind, (low, high, 0))
        self.ranges[kind] = (min(low, before[0]), max(high, before[1]), before[2] + count)

    def saw_pixels(self, pixels: np.ndarray) -> None:
        """Note how a decoded image looks, uint8 (C, H, W)."""
        self.images += 1
        self.blank += int((pixels == pixels[:, :1, :1]).all())
        self.looks[hashlib.blake2b(pixels.tobytes(), digest_size=8).digest()] += 1

    def merge(self, other: Facts) -> None:
        """Add what was seen in other files."""
        for kind, (low, high, count) in other.ranges.items():
            self.saw_range(kind, low, high, count)
        self.paged += other.paged
        self.profiles += other.profiles
        self.transparent += other.transparent
        self.blank += other.blank
        self.looks += other.looks
        self.images += other.images

    def notes(
        self, *, levels: tuple[float, float] | None, background: str, keeps_alpha: bool = False
    ) -> list[str]:
        """What the user should know, each a sentence or two.

        Args:
            levels: value of `data.levels`.
            background: value of `data.background`.
            keeps_alpha: images are RGBA.
        """
        notes = [
            range_note(kind, *found, levels=levels) for kind, found in sorted(self.ranges.items())
        ]
        if levels is not None and not self.ranges:
            notes.append("data.levels has no effect: no image has more than 8 bits.")
        if self.paged:
            notes.append(
                f"{counted(self.paged, 'file')} with several pages or frames: the first is used. "
                "data.pages=all takes each as an image of its own."
            )
        if self.profiles:
            notes.append(
                f"{counted(self.profiles, 'image')} with a broken colour profile: pixels are used "
                "as they are."
            )
        if keeps_alpha and self.images and not self.transparent:
            notes.append("no image is transparent anywhere: 3 channels (RGB) hold the same.")
        return notes + self._sameness(None if keeps_alpha else background)

    def _sameness(self, background: str | None) -> list[str]:
        share = MOST * self.images
        remedy = ""
        if background is not None and self.transparent > self.images / 2:
            remedy = f" with data.background={background}. data.background=auto may show more"
        if self.images > 1 and self.blank >= share:
            return [f"{self.blank} of {self.images} images are of one colour{remedy}."]
        if self.images > 1 and (commonest := max(self.looks.values())) >= share:
            return [f"{commonest} of {self.images} images are equal{remedy}."]
        return []


def counted(n: int, noun: str) -> str:
    """A number of things."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def range_note(
    kind: str, low: float, high: float, count: int, *, levels: tuple[float, float] | None
) -> str:
    """Which values images of a kind hold, and what that means."""
    hold = "holds" if count == 1 else "hold"
    start = f"{counted(count, f'{kind} image')} {hold} values {low:g} to {high:g}"
    if levels is not None:
        outside = low < levels[0] or high > levels[1]
        cut = "; values beyond are cut off" if outside else ""
        return f"{start}; data.levels maps {levels[0]:g} to 0 and {levels[1]:g} to 255{cut}."
    advice = f"data.levels=[{low:g},{high:g}] maps those to black and white."
    if kind != "16-bit":
        return f"{start}. Their range is not known, so they are not used. {advice}"
    if high < FAR_LESS * FULL:
        return f"{start}, of 0 to {FULL}: they are dark. {advice}"
    return f"{start}, of 0 to {FULL}."
