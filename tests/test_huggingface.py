"""Images that the datasets library reads: local folders, and the hub up to the network's edge."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from gan_cli.cli import commands
from gan_cli.data.base import Dataset
from gan_cli.errors import SettingsError, UserError
from tests.conftest import Cli

datasets = pytest.importorskip("datasets")
QUICK = (
    "steps=2", "log_every=1", "data.batch_size=4", "report=false", "sample_every=0",
    "data.image_size=8", "model.generator.hidden=[8]", "model.discriminator.hidden=[8]",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _caches(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAN_TRAIN_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path_factory.mktemp("library"))
    datasets.disable_progress_bars()


def source(path: object, **changes: Any) -> Any:
    from gan_cli.data.huggingface import HuggingFace

    settings: dict[str, Any] = {
        "subset": None, "split": "train", "test_split": "test", "image": "auto", "label": "auto",
        "channels": 3, "image_size": 8, "load_size": None, "resize": "cover", "crop": "center",
        "flip": False, "cache": True, "workers": 0, "pixel_range": [-1, 1],
    }  # fmt: skip
    return HuggingFace(path=str(path), **{**settings, **changes})


def loaded(path: object, **changes: Any) -> Dataset:
    data = source(path, **changes).load(seed=0, progress=lambda *_: None)
    assert isinstance(data, Dataset)
    return data


def refused(path: object, **changes: Any) -> str:
    with pytest.raises(UserError) as error:
        loaded(path, **changes)
    return str(error.value)


def png(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (9, 9 + seed % 3, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def table(n: int = 7, *, start: int = 0, **more: list[Any]) -> Any:
    numbers = range(start, start + n)
    images = [{"bytes": png(i), "path": None} for i in numbers]
    columns = {"photo": images, "kind": [i % 2 for i in numbers], "size": [i / 2 for i in numbers]}
    features = {
        "photo": datasets.Image(), "kind": datasets.ClassLabel(names=["cat", "dog"]),
        "size": datasets.Value("float32"),
    }  # fmt: skip
    for name, values in more.items():
        columns[name], features[name] = values, datasets.Value("string")
    return datasets.Dataset.from_dict(columns, features=datasets.Features(features))


def pixels(data: Dataset) -> torch.Tensor:
    return data.first(len(data))


def test_every_local_form_gives_the_same(tmp_path: Path) -> None:
    rows = table()
    datasets.DatasetDict({"train": rows, "test": table(4, start=20)}).save_to_disk(
        tmp_path / "both"
    )
    rows.save_to_disk(tmp_path / "one")
    (tmp_path / "folder").mkdir()
    rows.to_parquet(tmp_path / "folder/train.parquet")
    for name in ("cat", "dog"):
        (tmp_path / "images/train" / name).mkdir(parents=True)
    for i in range(7):
        (tmp_path / "images/train" / ("cat", "dog")[i % 2] / f"{i}.png").write_bytes(png(i))
    expected = loaded(tmp_path / "both")
    assert expected.spec.class_names == ("cat", "dog")
    assert expected.labels is not None
    assert expected.labels.tolist() == [0, 1, 0, 1, 0, 1, 0]
    for place in ("one", "folder", "folder/train.parquet"):
        data = loaded(tmp_path / place)
        assert torch.equal(pixels(data), pixels(expected)), place
        assert data.spec == expected.spec
    streamed = loaded(tmp_path / "both", cache=False)
    assert torch.equal(pixels(streamed), pixels(expected))
    images = loaded(tmp_path / "images")
    assert images.spec == expected.spec
    assert images.labels is not None
    assert torch.equal(pixels(images)[images.labels == 1], pixels(expected)[1::2])
    test = source(tmp_path / "both").load_test(seed=0, progress=lambda *_: None)
    assert len(test) == 4
    assert source(tmp_path / "folder").load_test(seed=0, progress=lambda *_: None) is None


def test_columns_are_named_where_there_is_a_doubt(tmp_path: Path) -> None:
    rows = table(word=["a", "b", "c", "a", "b", "c", "a"])
    other = table().select_columns(["photo"]).rename_column("photo", "other")
    rows = datasets.concatenate_datasets([rows, other], axis=1)
    rows.save_to_disk(tmp_path / "x")
    message = refused(tmp_path / "x")
    assert "data.image=auto: name a column of images" in message
    assert "other (Image)" in message
    assert loaded(tmp_path / "x", image="other", label="word").spec.class_names == ("a", "b", "c")
    assert loaded(tmp_path / "x", image="photo", label=None).labels is None
    assert "data.label=size" in refused(tmp_path / "x", image="photo", label="size")
    assert "no such column" in refused(tmp_path / "x", image="photo", label="sort")


def test_splits_and_places_that_are_not_there(tmp_path: Path) -> None:
    datasets.DatasetDict({"a": table()}).save_to_disk(tmp_path / "x")
    assert "data.split=train: there is no such split, but a" in refused(tmp_path / "x")
    table().to_parquet(tmp_path / "y.parquet")
    assert "data.split=dev" in refused(tmp_path / "y.parquet", split="dev")
    (tmp_path / "z.txt").write_text("x")
    assert "only .parquet and .arrow" in refused(tmp_path / "z.txt")
    (tmp_path / "empty").mkdir()
    assert "data.path" in refused(tmp_path / "empty")
    with pytest.raises(SettingsError, match="name of the hub"):
        source(tmp_path / "gone")


def test_damaged_rows_are_left_out(tmp_path: Path) -> None:
    images = [{"bytes": png(i), "path": None} for i in range(3)]
    images[1]["bytes"] = png(1)[:70]
    features = datasets.Features({"image": datasets.Image()})
    rows = datasets.Dataset.from_dict({"image": [*images, None]}, features=features)
    rows.save_to_disk(tmp_path / "x")
    data = loaded(tmp_path / "x")
    assert len(data) == 2
    assert "2 of 4 files are not used" in " ".join(data.notes)


def test_the_hub_up_to_the_network(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def load_dataset(path: str, subset: str | None = None, *, split: str) -> Any:
        asked.append((path, subset, split))
        if split == "test":
            raise ValueError('Unknown split "test". Should be one of [train].')
        return table(20)

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    hub = ("data=huggingface", "data.path=me/cats", "data.subset=small", "name=mine")
    result = cli(*hub, *QUICK)
    assert result.code == 0, result.err
    assert set(asked) == {("me/cats", "small", "train")}
    # A checkpoint alone fetches nothing.
    asked.clear()
    result = cli("resume=outputs/mine", "steps=3", "report=false")
    assert result.code == 2
    assert "only the checkpoint names me/cats" in result.err
    assert not asked
    result = cli("run=outputs/mine", "metrics=diversity", app=commands.EVALUATE)
    assert result.code == 2
    assert not asked
    moved = ("data.path=you/dogs", "report=false")
    assert cli("resume=outputs/mine", "steps=3", *moved).code == 0
    assert asked[0][0] == "you/dogs"
    assert cli("resume=outputs/mine", "steps=4", "trust_checkpoint=true", "report=false").code == 0
    (line,) = Path("outputs/mine/metrics.jsonl").read_text().splitlines()[-1:]
    assert json.loads(line)["step"] == 4


def test_what_the_hub_answers_is_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    def load_dataset(*_: object, **__: object) -> None:
        raise ConnectionError("Couldn't reach 'me/cats' on the Hub")

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    message = refused("me/cats")
    assert message.startswith("data.path=me/cats: no such folder here, and")
    assert "Couldn't reach" in message


def test_a_checkpoint_with_a_local_path_is_read_and_said(cli: Cli) -> None:
    table(20).save_to_disk("saved")
    assert cli("data=huggingface", "data.path=saved", "name=mine", *QUICK).code == 0
    result = cli("resume=outputs/mine", "steps=3", "report=false")
    assert result.code == 0, result.err
    assert "data.path=saved is the checkpoint's" in result.out
    Path("saved").rename("there")
    assert cli("resume=outputs/mine", "steps=4", "report=false").code == 2
    result = cli("resume=outputs/mine", "steps=4", "data.path=there", "report=false")
    assert result.code == 0, result.err


def test_without_the_library_one_message_says_so(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gan_cli.data.huggingface.importlib.util.find_spec", lambda _: None)
    result = cli("data=huggingface", "data.path=x/y")
    assert result.code == 2
    assert "pip install 'gan-train[huggingface]'" in result.err
