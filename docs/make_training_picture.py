"""Draws docs/pictures/training.png: one run's samples over time.

First `gan-train name=picture sample_every=200`, then
`python docs/make_training_picture.py outputs/picture`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image

DOCS = Path(__file__).resolve().parent
STEPS = (0, 200, 1000, 3000, 8000)
SHOWN = 201  # pixels of a sheet's side that are shown: its first four rows and columns


def draw(run: Path, file: Path) -> None:
    """Write the samples of each of STEPS, side by side with captions."""
    figure = Figure(figsize=(10, 2.35), dpi=110)
    for number, step in enumerate(STEPS):
        axes = figure.add_subplot(1, len(STEPS), number + 1)
        with Image.open(run / "samples" / f"step_{step:08d}.png") as sheet:
            axes.imshow(sheet.crop((0, 0, SHOWN, SHOWN)), interpolation="nearest")
        axes.set_title(f"step {step:,}", fontsize=11)
        axes.axis("off")
    figure.subplots_adjust(0.005, 0.01, 0.995, 0.89, wspace=0.04)
    figure.savefig(file)


if __name__ == "__main__":
    draw(Path(sys.argv[1]), DOCS / "pictures" / "training.png")
