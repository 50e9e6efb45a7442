"""Writes docs/notebook.ipynb: runs the cells below in a kernel, and keeps what they print and draw.

Run it with `make notebook`, or `python docs/make_notebook.py`. It takes about a minute.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

PAGE = Path(__file__).resolve().parent / "notebook.ipynb"
#: Text and code in turn.
CELLS = (
    """# gan-train in a notebook

`gan_cli.fit` does what the command `gan-train` does, with the same settings. While it trains, the
newest samples are shown below the cell. The stop button ends training and saves.""",
    """import gan_cli

run = gan_cli.fit(["data=digits", "steps=1500", "sample_every=500", "report=false"])
run""",
    """A mistake is one exception, and says what would work.""",
    """from gan_cli.errors import UserError

try:
    gan_cli.fit(["model=dcgn"])
except UserError as error:
    print(error)""",
    """`run.metrics` are the numbers of all log steps. Where D(x) and D(G(z)) are near 1/2, D cannot
tell real from generated digits.""",
    """import matplotlib.pyplot as plt

lines = [line for line in run.metrics if "prob/real" in line]
figure, axis = plt.subplots(figsize=(6, 2.5))
for key, name in {"prob/real": "D(x)", "prob/fake": "D(G(z))"}.items():
    axis.plot([line["step"] for line in lines], [line[key] for line in lines], label=name)
axis.set_xlabel("step")
axis.set_ylim(0, 1)
axis.legend();""",
    """`run.load()` gives the trained model. It draws tensors, and its networks can be called.""",
    """import torch

model = run.load()
x = model.sample(10, seed=1)  # (10, 1, 8, 8), values in [-1, 1]
with torch.no_grad():
    d = torch.sigmoid(model.game.discriminator(x))

figure, axes = plt.subplots(1, 10, figsize=(10, 1.4))
for image, probability, axis in zip(x, d, axes):
    axis.imshow(image[0], cmap="gray")
    axis.set_title(f"{probability:.2f}")
    axis.axis("off")""",
    """The line from one z to another passes through digits all the way.""",
    """a, b = model.sampler.draw_noise(2, seed=4)
t = torch.linspace(0, 1, 10)[:, None]
between = model.map_noise((1 - t) * a + t * b)

figure, axes = plt.subplots(1, 10, figsize=(10, 1.2))
for image, axis in zip(between, axes):
    axis.imshow(image[0], cmap="gray")
    axis.axis("off")""",
    """[python.md](python.md) lists all that `run` and `model` can do. [export.md](export.md) shows
how to use the generator in other programs.""",
)


def notebook() -> nbformat.NotebookNode:
    """The notebook without outputs."""
    make = (nbformat.v4.new_markdown_cell, nbformat.v4.new_code_cell)
    cells = [make[number % 2](text) for number, text in enumerate(CELLS)]
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"  # the same in each build
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})


def executed(book: nbformat.NotebookNode, folder: Path) -> nbformat.NotebookNode:
    """Run all cells in a folder, and keep what they give.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell fails.
    """
    # The commands that are printed are then named, and not the paths where they lie.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    resources = {"metadata": {"path": str(folder)}}
    NotebookClient(book, timeout=300, resources=resources).execute()
    for cell in book.cells:
        cell.metadata.pop("execution", None)  # the times
    book.metadata["language_info"] = {"name": "python"}
    return book


def main() -> int:
    """Write the notebook."""
    with tempfile.TemporaryDirectory() as folder:
        book = executed(notebook(), Path(folder))
    nbformat.validate(book)
    nbformat.write(book, PAGE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
