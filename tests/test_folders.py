"""Labels follow the folders that hold usable images: strays, empty classes, splits, odd names."""

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from gan_cli.cli import commands
from gan_cli.data.base import Dataset
from gan_cli.data.batches import make_batches
from gan_cli.data.epochs import Batches, balanced_order
from gan_cli.data.image_folder import ImageFolder
from gan_cli.data.labels import is_name
from gan_cli.spec import Batch
from tests.conftest import Cli

TINY = [
    "data=image_folder", "data.root=x", "data.image_size=8", "data.batch_size=4", "steps=1",
    "name=r",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAN_TRAIN_CACHE", str(tmp_path_factory.mktemp("cache")))


def quiet(*_: object) -> None:
    pass


def source(root: Path, **changes: Any) -> ImageFolder:
    settings: dict[str, Any] = {
        "root": str(root), "channels": 3, "image_size": 8, "load_size": None, "resize": "cover",
        "crop": "center", "flip": False, "cache": True, "workers": None, "pixel_range": (-1, 1),
    }  # fmt: skip
    return ImageFolder(**settings | changes)


def load(root: Path, **changes: Any) -> Dataset:
    return source(root, **changes).load(seed=0, progress=quiet)


def fill(root: Path, counts: dict[str, int]) -> None:
    """Folders with so many images each, of a gray level that is their number."""
    for level, (name, count) in enumerate(counts.items()):
        (root / name).mkdir(parents=True)
        for number in range(count):
            Image.new("RGB", (9, 9), (level, number, 7)).save(root / name / f"{number}.png")


@pytest.mark.parametrize("cache", [True, False])
def test_files_that_are_no_images_do_not_erase_labels(tmp_path: Path, cache: bool) -> None:
    fill(tmp_path, {"cats": 3, "dogs": 2})
    (tmp_path / "labels.csv").write_text("a,b")
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "a.xml").write_text("<a/>")
    (tmp_path / "birds").mkdir()
    (tmp_path / "birds" / "cut.png").write_bytes((tmp_path / "cats" / "0.png").read_bytes()[:50])
    for _ in range(2):  # with the cache, the second time asks it
        data = load(tmp_path, cache=cache)
        assert data.spec.class_names == ("cats", "dogs")
        assert data.labels is not None
        batch = data.take(data.labels.new_tensor(range(len(data))))[1]
        assert batch is not None
        assert batch.tolist() == [0, 0, 0, 1, 1]
        notes = "\n".join(data.notes)
        assert "labels.csv" in notes
        assert "annotations, birds: not a class" in notes


@pytest.mark.parametrize(("held_out", "found"), [("test", 2), ("val", 2), (None, None)])
def test_splits_above_classes_are_no_classes(
    tmp_path: Path, held_out: str | None, found: int | None
) -> None:
    fill(tmp_path / "train", {"cats": 3, "dogs": 3})
    if held_out:
        fill(tmp_path / held_out, {"dogs": 2, "newts": 1})
    folder = source(tmp_path, flip=True)
    data = folder.load(seed=0, progress=quiet)
    assert (len(data), data.spec.class_names) == (6, ("cats", "dogs"))
    assert any("train/ is no class but a split" in note for note in data.notes)
    test = folder.load_test(seed=0, progress=quiet)
    assert (None if test is None else len(test)) == found
    if test is not None:
        assert test.labels is not None
        assert test.labels.tolist() == [1, 1]
        assert test.augment is None
        assert any("newts" in note for note in test.notes)


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    fill(tmp_path, {"train": 2, "car": 2})
    assert load(tmp_path).spec.class_names == ("car", "train")


def test_splits_without_classes(tmp_path: Path) -> None:
    fill(tmp_path, {"Train": 3, "test": 2})
    folder = source(tmp_path)
    assert (len(folder.load(seed=0, progress=quiet)), folder.spec.classes) == (3, 0)
    test = folder.load_test(seed=0, progress=quiet)
    assert test is not None
    assert (len(test), test.labels) == (2, None)


def test_images_at_the_top_are_said_to_end_classes(tmp_path: Path) -> None:
    fill(tmp_path, {"cats": 2})
    Image.new("L", (5, 5)).save(tmp_path / "top.png")
    note = load(tmp_path).notes[0]
    assert "cats" in note
    assert "no classes" in note


def test_the_first_lines_count_classes(cli: Cli) -> None:
    fill(Path("x"), {"cats": 3, "dogs": 2})
    result = cli(*TINY)
    assert result.code == 0, result.err
    assert result.out.splitlines()[1] == "classes: cats 3, dogs 2"


@pytest.mark.parametrize(
    ("name", "label", "same"),
    [
        ("0.5", 0.5, True), ("0.50", 0.5, True), ("1e-3", 0.001, True), ("1.0", 1, False),
        ("true", True, True), ("False", False, True), ("1", True, False), ("null", None, True),
        ("7", 7, True), ("cat", 0.5, False), ("cat", "cat", True),
    ],
)  # fmt: skip
def test_names_that_yaml_reads_as_another_type(name: str, label: Any, same: bool) -> None:
    assert is_name(name, label) is same


def test_labels_by_name_and_by_number_do_not_collide(cli: Cli) -> None:
    fill(Path("x"), {"1": 2, "2": 2, "3": 2})
    conditional = [*TINY, "model=cgan", "model.backbone=mlp"]
    assert cli(*conditional).code == 0
    base = ("run=outputs/r", "n=1", "mode=images")

    def sample(labels: str, out: str) -> Any:
        return cli(*base, f"labels={labels}", f"out={out}", app=commands.SAMPLE)

    assert sample("3", "three").code == 0  # there is no number 3
    assert [path.name for path in Path("three").iterdir()] == ["3"]
    both = sample("1", "one")
    assert both.code == 2
    assert "number of class '2'" in both.err
    assert 'labels="1"' in both.err
    assert sample('"1"', "first").code == 0
    assert [path.name for path in Path("first").iterdir()] == ["1"]
    assert sample('["1","2","3"]', "many").code == 2  # n=1 is fewer
    assert cli("run=outputs/r", "mode=images", "out=all", app=commands.SAMPLE).code == 0
    assert sorted(path.name for path in Path("all").iterdir()) == ["1", "2", "3"]


def test_folders_called_like_other_types_are_sampled_by_name(cli: Cli) -> None:
    fill(Path("x"), {"0.5": 2, "true": 2, "null": 2})
    assert cli(*TINY, "model=cgan", "model.backbone=mlp").code == 0
    command = ("run=outputs/r", "mode=images", "labels=[0.5,true,null]", "n=3", "out=o")
    result = cli(*command, app=commands.SAMPLE)
    assert result.code == 0, result.err
    assert sorted(path.name for path in Path("o").iterdir()) == ["0.5", "null", "true"]


def epochs_of(data: Dataset, *, seed: int, n: int) -> list[list[int]]:
    """Rows of the first n epochs."""
    batches = make_batches(data, 4, seed=seed, device=torch.device("cpu"))
    assert isinstance(batches, Batches)
    return [batches.epoch(epoch).rows.tolist() for epoch in range(n)]


@pytest.mark.parametrize("cache", [True, False])
def test_balance_draws_classes_equally_often(tmp_path: Path, cache: bool) -> None:
    fill(tmp_path, {"many": 22, "few": 2})
    assert any("many has 22 images, few 2. data.balance=true" in n for n in load(tmp_path).notes)
    data = load(tmp_path, balance=True, cache=cache, workers=0 if not cache else None)
    assert not any("uneven" in note for note in data.notes)
    first, second = epochs_of(data, seed=3, n=2)
    for rows in (first, second):  # few is class 0, rows 0 and 1
        assert len(rows) == 24
        assert sorted(row for row in rows if row < 2) == [0] * 6 + [1] * 6
        assert len({row for row in rows if row >= 2}) == 12
    assert first != second
    assert epochs_of(data, seed=3, n=2) == [first, second]
    assert epochs_of(data, seed=4, n=1) != [first]
    whole = make_batches(data, 5, seed=3, device=torch.device("cpu"))
    batches = [next(whole) for _ in range(8)]
    resumed = make_batches(data, 5, seed=3, device=torch.device("cpu"))
    resumed.load_state_dict({"next_batch": 6})
    again = next(resumed)
    assert isinstance(again, Batch)
    assert torch.equal(again.x, batches[6].x)  # type: ignore[union-attr]
    held_out = data.split(4, mixed=True)[0]
    (rows,) = epochs_of(held_out, seed=3, n=1)
    assert held_out.rows is not None
    assert set(rows) <= set(held_out.rows.tolist())


def test_balance_without_classes_has_no_effect_and_says_so(tmp_path: Path) -> None:
    Image.new("L", (8, 8)).save(tmp_path / "x.png")
    notes = load(tmp_path, balance=True).notes
    assert any("data.balance=true has no effect" in note for note in notes)


def test_more_classes_than_data_balance_too() -> None:
    order = balanced_order(torch.tensor([0, 2, 2, 2, 5]), torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 2, 2, 2, 5])[order]
    assert labels.bincount(minlength=6)[[0, 2, 5]].sort()[0].tolist() == [1, 2, 2]
