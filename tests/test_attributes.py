"""Slant and stroke width of pictures whose shape is known."""

import pytest
import torch
from torch import Tensor

from gan_cli.evaluation.attributes import extremes, slant, stroke_width

SIDE = 64


def bar(*, lean: float = 0.0, width: float = 6.0) -> Tensor:
    """A bar from top to bottom that moves `lean` pixels to the right for each pixel up."""
    rows = torch.arange(SIDE).float()[:, None]
    columns = torch.arange(SIDE).float()[None, :]
    middle = SIDE / 2 + lean * (SIDE / 2 - rows)
    inside = (width / 2 + 0.5 - (columns - middle).abs()).clamp(0, 1)  # edges between two pixels
    inside[:8], inside[-8:] = 0, 0
    return inside[None, None]


@pytest.mark.parametrize("lean", [-0.4, 0.0, 0.3])
def test_slant_is_the_shear(lean: float) -> None:
    assert slant(bar(lean=lean)).item() == pytest.approx(lean, abs=0.01)


@pytest.mark.parametrize("width", [3.0, 6.0])
def test_stroke_width_in_pixels(width: float) -> None:
    # A bar's ends belong to its outline: 2 (w h) / (2 w + 2 h).
    height = SIDE - 16
    expected = width * height / (width + height)
    assert stroke_width(bar(width=width)).item() == pytest.approx(expected, rel=0.03)


def test_both_are_of_the_shape_alone() -> None:
    x = bar(lean=0.2)
    colours = x.expand(-1, 3, -1, -1) * torch.tensor([0.2, 0.5, 0.8]).view(1, 3, 1, 1)
    for measure in (slant, stroke_width):
        torch.testing.assert_close(measure(0.4 * x), measure(x))
        torch.testing.assert_close(measure(colours), measure(x))
        assert measure(torch.zeros(2, 1, 8, 8)).tolist() == [0, 0]


def test_extremes_are_both_tenths() -> None:
    has, lacks = extremes(torch.arange(50).float())
    assert has.tolist() == [49, 48, 47, 46, 45]
    assert lacks.tolist() == [0, 1, 2, 3, 4]
    assert [part.tolist() for part in extremes(torch.tensor([3.0, 1.0]))] == [[0], [1]]
