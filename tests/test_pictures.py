"""Pictures show the samples, in order and in their colours."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gan_cli.pictures import (
    CAPTION_HEIGHT,
    SHORT_SIDE,
    draw,
    draw_filters,
    sheet,
    titled,
    to_bytes,
    write_png,
)
from gan_cli.plots import plot_points
from gan_cli.spec import DataSpec


@pytest.mark.parametrize("value_range", [(-1.0, 1.0), (0.0, 1.0)])
def test_bytes_fill_0_to_255(value_range: tuple[float, float]) -> None:
    low, high = value_range
    x = torch.tensor([low, (low + high) / 2, high]).view(3, 1, 1, 1)
    pixels = to_bytes(x, DataSpec((1, 1, 1), value_range))
    assert pixels.shape == (3, 3, 1, 1)
    assert pixels[:, 0].flatten().tolist() == [0, 128, 255]


@pytest.mark.parametrize(
    ("channels", "expected"),
    [(1, [7, 7, 7]), (2, [7, 7, 7]), (3, [7, 8, 9]), (4, [7, 8, 9, 10]), (5, [7, 8, 9])],
)
def test_any_number_of_channels_becomes_rgb_or_stays_rgba(
    channels: int, expected: list[int]
) -> None:
    x = torch.tensor([7, 8, 9, 10, 11]).float()[:channels].view(1, channels, 1, 1) / 255
    pixels = to_bytes(x, DataSpec((channels, 1, 1), (0.0, 1.0)))
    assert pixels.flatten().tolist() == expected


def test_sheet_places_images_row_by_row_and_enlarges_small_ones() -> None:
    images = torch.arange(6, dtype=torch.uint8).view(6, 1, 1, 1).expand(6, 3, 8, 16) * 40
    picture = sheet(images, columns=3, gap=2)
    zoom = SHORT_SIDE // 8
    height, width = 8 * zoom, 16 * zoom
    assert picture.shape == (2 * (height + 2) + 2, 3 * (width + 2) + 2, 3)
    for index in range(6):
        row, column = divmod(index, 3)
        top, left = 2 + row * (height + 2), 2 + column * (width + 2)
        tile = picture[top : top + height, left : left + width]
        assert (tile == 40 * index).all()


def test_a_checkerboard_shows_through_transparent_images() -> None:
    images = torch.zeros(3, 4, 64, 64, dtype=torch.uint8)
    images[:, 0] = 200  # red
    images[1, 3], images[2, 3] = 255, 51  # opaque, and a fifth of it
    picture = sheet(images, columns=3, gap=0)
    clear, opaque, fifth = (picture[:, 64 * i : 64 * i + 64].astype(int) for i in range(3))
    rows, columns = np.indices((64, 64)) // 8
    ground = np.where((rows + columns) % 2 == 0, 255, 204)
    assert (clear == ground[:, :, None]).all()
    assert (opaque == np.array([200, 0, 0])).all()
    assert np.abs(fifth - (0.8 * ground[:, :, None] + 0.2 * np.array([200, 0, 0]))).max() <= 0.5


def test_filters_of_rgba_show_colours_whatever_opacity_weighs() -> None:
    weights = torch.randn(4, 4, 50, 50)
    heavy = weights.clone()
    heavy[:, 3] *= 1000
    assert np.array_equal(draw_filters(weights), draw_filters(heavy))


def test_png_holds_the_picture(tmp_path: Path) -> None:
    spec = DataSpec((3, 50, 60), (-1.0, 1.0))
    picture = draw(torch.rand(5, 3, 50, 60), spec, real=torch.empty(0))
    write_png(tmp_path / "x.png", picture)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "x.png")), picture)
    assert [path.name for path in tmp_path.iterdir()] == ["x.png"]


@pytest.mark.parametrize("dim", [1, 2, 5])
def test_points_are_plotted_the_same_every_time(dim: int) -> None:
    samples, real = torch.randn(50, dim), torch.randn(60, dim)
    picture = plot_points(samples, real)
    assert picture.shape == {1: (500, 500, 3), 2: (430, 800, 3), 5: (460, 800, 3)}[dim]
    assert np.array_equal(picture, plot_points(samples, real))
    assert not np.array_equal(picture, plot_points(samples + 1, real))
    plot_points(samples + 1e6, real)  # all outside the picture


def test_a_title_stands_above_and_changes_nothing_below() -> None:
    for ground in (96, 255):
        picture = np.full((20, 60, 3), ground, np.uint8)
        picture[5:10, 5:10] = 7
        above = titled(picture, "step 3")
        assert above.shape == (20 + CAPTION_HEIGHT, 60, 3)
        assert np.array_equal(above[CAPTION_HEIGHT:], picture)
        assert (above[:CAPTION_HEIGHT] != ground).any()
        wider = titled(picture, "a line that is longer than the picture is wide")
        assert wider.shape[1] > 200
        assert np.array_equal(wider[CAPTION_HEIGHT:, :60], picture)
        assert (wider[CAPTION_HEIGHT:, 60:] == ground).all()
        assert not np.array_equal(above, titled(picture, "step 4"))


def test_names_of_rows_leave_the_images_where_they_are() -> None:
    images = torch.full((4, 3, 48, 48), 200, dtype=torch.uint8)
    plain = sheet(images, columns=2)
    named = sheet(images, columns=2, rows=["cat", "a dog"])
    assert np.array_equal(named[:, : plain.shape[1]], plain)
    names = named[:, plain.shape[1] :]
    for row in range(2):
        assert (names[row * 50 : row * 50 + 50] > 200).any()
