"""Random crops and flips of a batch, a function of (seed, epoch, index) alone."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gan_cli.seeding import generator_for


@dataclass(frozen=True)
class Augment:
    """What is done anew to every image in every epoch.

    Attributes:
        height: of the crop, in pixels, at most the stored images'.
        width: of the crop, likewise.
        flip: mirror left and right with probability 1/2.
    """

    height: int
    width: int
    flip: bool

    def draws(self, n: int, *, seed: int, epoch: int) -> Tensor:
        """One row of three uniform numbers in [0, 1) for each of n data, float32 (n, 3)."""
        return torch.rand(n, 3, generator=generator_for(seed, "augment", epoch))

    def apply(self, images: Tensor, draws: Tensor) -> Tensor:
        """Crop and flip.

        Args:
            images: stored images, uint8 (m, C, H, W), at least as large as the crop.
            draws: float32 (m, 3), the images' rows of `draws`: vertical place, horizontal place,
                flip.

        Returns:
            uint8 (m, C, height, width).
        """
        m, _, stored_height, stored_width = images.shape
        draws = draws.to(images.device)
        top = (draws[:, 0] * (stored_height - self.height + 1)).long()
        left = (draws[:, 1] * (stored_width - self.width + 1)).long()
        rows = top[:, None] + torch.arange(self.height, device=images.device)
        columns = left[:, None] + torch.arange(self.width, device=images.device)
        if self.flip:
            columns = torch.where(draws[:, 2:] < 0.5, columns, columns.flip(1))
        numbers = torch.arange(m, device=images.device)[:, None, None]
        cut = images[numbers, :, rows[:, :, None], columns[:, None, :]]  # (m, height, width, C)
        return cut.permute(0, 3, 1, 2)
