"""Arrays and tables as data: what is read, guessed, refused; scales are stored and undone."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gan_cli import load
from gan_cli.cli import commands
from gan_cli.data.arrays import Arrays, kind_of_file
from gan_cli.data.base import Dataset
from gan_cli.errors import SettingsError, UserError
from gan_cli.plots import plot_components
from gan_cli.sampling.arrays import as_array
from gan_cli.settings.build import load_data, load_test_data
from gan_cli.settings.check import check
from gan_cli.spec import DataSpec, checked
from tests.conftest import Cli
from tests.test_config import composed

RANDOM = np.random.default_rng(0)
QUICK = ("steps=3", "log_every=3", "sample_every=3", "data.batch_size=16", "report=false")


def source(file: Path, **changes: Any) -> Arrays:
    settings: dict[str, Any] = {
        "samples": "auto", "labels": "auto", "range": None, "image_size": None,
        "standardise": True, "pixel_range": [-1, 1],
    }  # fmt: skip
    return Arrays(file=str(file), **{**settings, **changes})


def loaded(file: Path, **changes: Any) -> Dataset:
    return source(file, **changes).load(seed=0, progress=lambda *_: None)


def refused(file: Path, **changes: Any) -> str:
    with pytest.raises(UserError) as error:
        loaded(file, **changes)
    return str(error.value)


def npz(folder: Path, **arrays: np.ndarray) -> Path:
    np.savez(folder / "x.npz", **arrays)
    return folder / "x.npz"


def npy(folder: Path, array: np.ndarray) -> Path:
    np.save(folder / "x.npy", array)
    return folder / "x.npy"


def vectors(n: int = 40, d: int = 3) -> np.ndarray:
    return RANDOM.normal(size=(n, d)) * 10.0 ** np.arange(d) + 5000


def test_the_same_vectors_from_every_kind_of_file(tmp_path: Path) -> None:
    x, y = vectors(), RANDOM.integers(0, 4, 40)
    np.savez_compressed(tmp_path / "c.npz", x=x, y=y)
    np.save(tmp_path / "f.npy", np.asfortranarray(x))
    lines = [
        ",".join([*map(repr, row), str(label)]) for row, label in zip(x.tolist(), y, strict=True)
    ]
    (tmp_path / "t.csv").write_text("\ufeffa,b,c,label\n" + "\n".join(lines) + "\n")
    (tmp_path / "t.tsv").write_text("\n".join(line.replace(",", "\t") for line in lines))
    for file in (npz(tmp_path, x=x, y=y), tmp_path / "c.npz", tmp_path / "t.csv"):
        data = loaded(file)
        assert isinstance(data.values, torch.Tensor)
        assert np.array_equal(data.values.numpy(), x), file
        assert data.labels is not None
        assert data.labels.tolist() == y.tolist()
        assert data.spec.classes == 4
    for file in (npy(tmp_path, x), tmp_path / "f.npy"):
        assert np.array_equal(loaded(file).values, x)  # type: ignore[arg-type]
    nameless = loaded(tmp_path / "t.tsv", samples=["x1", "x3"], labels="x4")
    assert np.array_equal(nameless.values, x[:, [0, 2]])  # type: ignore[arg-type]
    assert nameless.spec.classes == 4


def test_parquet(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    import pyarrow as pa
    from pyarrow import parquet

    x = vectors()
    names = RANDOM.choice(["cat", "dog"], 40).tolist()
    columns = {"a": x[:, 0], "b": x[:, 1], "class": names, "v": x.tolist()}
    parquet.write_table(pa.table(columns), tmp_path / "t.parquet")
    data = loaded(tmp_path / "t.parquet", samples=["b", "a"])
    assert np.array_equal(data.values, x[:, [1, 0]])  # type: ignore[arg-type]
    assert data.spec.class_names == ("cat", "dog")
    assert np.array_equal(loaded(tmp_path / "t.parquet", samples="v").values, x)  # type: ignore[arg-type]
    (tmp_path / "t.parquet").write_bytes(b"PAR1 nothing")
    assert "is no Parquet, or damaged" in refused(tmp_path / "t.parquet")


def test_vectors_and_bytes_stay_in_their_file(tmp_path: Path) -> None:
    file = npz(tmp_path, x=vectors(), images=RANDOM.integers(0, 256, (40, 5, 6, 3), np.uint8))
    array = source(file, samples="x").opened.contents.read(["x"])
    assert isinstance(array, np.memmap)
    images = loaded(file, samples="images", labels=None).values
    assert isinstance(images, torch.Tensor)
    assert images.shape == (40, 3, 5, 6)
    assert not images.is_contiguous()  # a view of the file's own order


@pytest.mark.parametrize(
    ("array", "given", "levels"),
    [
        (RANDOM.integers(0, 256, (9, 4, 5)).astype(np.uint8), None, None),
        (RANDOM.random((9, 4, 5)).astype(np.float32), [0, 1], (0, 1)),
        (RANDOM.random((9, 4, 5, 3)) * 2 - 1, [-1, 1], (-1, 1)),
        (RANDOM.integers(0, 65536, (9, 3, 4, 5)).astype(np.uint16), None, (0, 65535)),
        (RANDOM.integers(-900, 900, (9, 4, 5)).astype(np.int16), [-1000, 1000], (-1000, 1000)),
        (RANDOM.random((9, 4, 5)) > 0.5, None, (0, 1)),
    ],
)
def test_images_of_every_type_come_back_in_their_own_units(
    tmp_path: Path, array: np.ndarray, given: list[float] | None, levels: tuple[int, int] | None
) -> None:
    data = loaded(npy(tmp_path, array), range=given)
    assert data.spec.levels == levels
    low, high = levels or (0, 255)
    back = as_array(data.first(9), data.spec)
    if array.shape[1] == 3:
        array = array.transpose(0, 2, 3, 1)
    assert back.shape == array.shape
    assert back.dtype == (np.uint8 if levels is None else np.float32)
    half_a_level = 0.0 if levels is None else 0.501 * (high - low) / 255
    assert np.abs(back - array.astype(float)).max() <= half_a_level + 1e-5 * high


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.array([{}, {}], dtype=object), ["objects", "never unpickled"]),
        (np.array(["a", "b"]), ["no numbers"]),
        (np.zeros((0, 3)), ["is empty"]),
        (np.float64(1), ["is empty"]),
        (np.zeros((5, 2, 3, 4, 5)), ["shape 5x2x3x4x5", "vectors (n, d)"]),
        (np.zeros((5, 7, 8, 9)), ["shape 5x7x8x9", "1, 3 or 4 channels"]),
        (np.zeros((5, 2), complex), ["no numbers"]),
        (np.array([[1, 2], [np.nan, 1], [1, np.inf]]), ["2 of 3 rows", "1, 2 (from 0)"]),
        (np.full((4, 3, 3), np.nan, np.float32), ["4 of 4 rows"]),
        (np.linspace(-1, 1, 36).reshape(4, 3, 3), ["data.range=null", "-1 to 1", "[-1,1]"]),
        (np.arange(36, dtype=np.int16).reshape(4, 3, 3), ["0 to 35", "[0,255]"]),
    ],
)
def test_arrays_that_cannot_be_data(tmp_path: Path, array: np.ndarray, words: list[str]) -> None:
    np.save(tmp_path / "x.npy", array, allow_pickle=True)
    message = refused(tmp_path / "x.npy")
    assert all(word in message for word in words), message


def test_values_outside_the_range_that_was_said(tmp_path: Path) -> None:
    file = npy(tmp_path, np.linspace(0, 2, 36).reshape(4, 3, 3))
    assert "data.range=[0.0,1.0]: values go from 0 to 2" in refused(file, range=[0, 1])
    with pytest.raises(SettingsError, match="range"):
        source(file, range=[1, 0])
    assert "of images" in refused(npy(tmp_path, vectors()), range=[0, 1])


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.arange(39), ["labels y", "not as many as the data"]),
        (np.linspace(0, 1, 40), ["no whole numbers", "in row 1"]),
        (np.where(np.arange(40) == 7, np.nan, 1.0), ["nan in row 7"]),
        (np.zeros((40, 2), int), ["one number or name for each datum"]),
        (np.array([None] * 40), ["objects"]),
        (np.array(["../up"] * 40), ["'../up'"]),
    ],
)
def test_labels_that_are_no_classes(tmp_path: Path, labels: np.ndarray, words: list[str]) -> None:
    file = npz(tmp_path, x=vectors(), y=labels)
    message = refused(file, labels="y")
    assert all(word in message for word in words), message
    assert loaded(file, samples="x", labels=None).labels is None


def test_labels_are_numbers_from_0_or_names(tmp_path: Path) -> None:
    values = np.array([3.0, 7.0] * 20)
    data = loaded(npz(tmp_path, x=vectors(), y=values))
    assert data.spec.class_names == ("3", "7")
    assert data.labels is not None
    assert data.labels[:3].tolist() == [0, 1, 0]


def test_what_is_what_is_guessed_only_without_doubt(tmp_path: Path) -> None:
    x, y = vectors(), RANDOM.integers(0, 2, 40)
    assert "data.samples=a and data.labels=b" in loaded(npz(tmp_path, a=x, b=y)).notes[0]
    assert "more than one could be" in refused(npz(tmp_path, a=x, b=x))
    assert "a (float64, 40x3)" in refused(npz(tmp_path, a=x, b=x), samples="aa")
    assert loaded(npz(tmp_path, a=x, b=y, c=y)).labels is None
    (tmp_path / "t.csv").write_text("a,city\n1,Oslo\n2,Rome\n")
    assert "data.labels=city" in refused(tmp_path / "t.csv")
    (tmp_path / "t.csv").write_text("a,b\n1,2\n,3\n")
    assert "1 of 2 rows" in refused(tmp_path / "t.csv")
    (tmp_path / "t.csv").write_text("a,b\n" + "1,2\n" * 60 + "3,x\n")
    assert "row 60 (from 0), column b: 'x' is no number" in refused(tmp_path / "t.csv")
    (tmp_path / "t.csv").write_text("a,b\n")
    assert "no rows" in refused(tmp_path / "t.csv")


@pytest.mark.parametrize("suffix", [".npz", ".npy", ".parquet", ".csv"])
def test_damaged_files(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"x{suffix}"
    assert "no such file" in refused(file)
    file.write_bytes(b"\x93NUMPY\x01\x00\xff\xff")
    assert str(file) in refused(file)
    assert kind_of_file(str(file)) == "points"
    file.write_bytes(b"")
    assert str(file) in refused(file)


def test_damaged_members(tmp_path: Path) -> None:
    with zipfile.ZipFile(npz(tmp_path, x=vectors())) as archive:
        data = archive.read("x.npy")
    for content, compression in ((data[:-8], 0), (data + b"more", 8)):
        with zipfile.ZipFile(tmp_path / "x.npz", "w", compression) as archive:
            archive.writestr("x.npy", content)
        assert "not the size that its header claims" in refused(tmp_path / "x.npz")
    file = npy(tmp_path, vectors())
    file.write_bytes(file.read_bytes()[:-8])
    assert "cut short" in refused(file)


def test_constant_columns_are_named_and_stay(tmp_path: Path) -> None:
    x = vectors()
    x[:, 1] = 0.1
    data = loaded(npy(tmp_path, x))
    assert "coordinates 1 (from 0)" in data.notes[0]
    config = composed("data=arrays", f"data.file={npy(tmp_path, x)}")
    data = load_data(config)  # type: ignore[assignment]
    assert data.spec.std[1] == 1
    assert data.first(40)[:, 1].abs().max() < 1e-6
    config["data"]["file"] = str(npy(tmp_path, np.array([[1e300], [-1e300], [1e300]])))
    with pytest.raises(UserError, match="too large"):
        load_data(config)


def test_networks_see_the_training_part_standardised(tmp_path: Path) -> None:
    x = np.concatenate([vectors(), vectors() + 1e6])
    config = composed("data=arrays", f"data.file={npy(tmp_path, x)}", "data.validation=20")
    train, held_out = load_data(config), load_test_data(config)
    assert isinstance(train, Dataset)
    assert isinstance(held_out, Dataset)
    assert train.held_out is not None
    seen = train.first(60)
    assert seen.mean(dim=0).abs().max() < 1e-6
    assert (seen.std(dim=0, correction=0) - 1).abs().max() < 1e-5
    assert train.spec.mean == pytest.approx(x[train.rows].mean(axis=0))
    assert held_out.spec == train.held_out.spec == train.spec
    rows = held_out.rows
    assert rows is not None
    back = train.spec.in_own_units(held_out.first(20))
    assert np.allclose(back, x[rows.numpy()], atol=1e-6 * x.std())  # float32, of all spread
    plain = load_data({**config, "data": {**config["data"], "standardise": False}})
    assert isinstance(plain, Dataset)
    assert plain.spec.mean == ()
    assert np.allclose(plain.first(3), x[plain.rows][:3])


def test_specs_of_strangers_must_make_sense() -> None:
    good = DataSpec((2,), None, mean=(0.0, 1.0), std=(1.0, 2.0))
    assert checked(good) is good
    for mean, std in (((0.0,), (1.0,)), ((0.0, 1.0), (1.0, 0.0)), ((0.0, np.nan), (1.0, 1.0))):
        with pytest.raises(ValueError, match="no sense"):
            checked(DataSpec((2,), None, mean=mean, std=std))
    with pytest.raises(ValueError, match="no sense"):
        checked(DataSpec((2,), None, levels=(0.0, 1.0)))


def test_the_kind_chooses_the_presets(tmp_path: Path) -> None:
    file = npy(tmp_path, RANDOM.integers(0, 256, (40, 8, 8), np.uint8))
    config = composed("data=arrays", f"data.file={file}")
    assert config["data"]["kind"] == "images"
    assert config["model"]["generator"]["hidden"] == [512, 512]
    check(config, trusted=True)
    config = composed("data=arrays", f"data.file={npz(tmp_path, x=vectors())}")
    assert config["model"]["generator"]["hidden"] == [128, 128]
    check(config, trusted=True)


def test_scales_are_stored_and_undone(cli: Cli) -> None:
    x, y = vectors(400), np.array(["a", "b"] * 200)
    np.savez("x.npz", x=x, y=y)
    run = "outputs/mine"
    more = ("model=cgan", "model.backbone=mlp", "data.validation=100", "name=mine")
    assert cli("data=arrays", "data.file=x.npz", *QUICK, *more).code == 0
    model = load(run)
    spec = model.spec
    assert isinstance(spec, DataSpec)
    assert spec.mean == pytest.approx(x.mean(axis=0), rel=0.1)
    samples = model.sample(50)
    assert (samples - torch.tensor(spec.mean)).abs().median(dim=0)[0][2] > 1  # of spread 100
    assert cli("run=outputs/mine", "mode=array", "n=50", "out=s", app=commands.SAMPLE).code == 0
    with np.load("s.npz") as stored:
        same = model.sample(50, labels=[0] * 25 + [1] * 25)
        assert np.allclose(stored["samples"], same, rtol=1e-6)
        assert stored["labels"].tolist() == ["a"] * 25 + ["b"] * 25
    # Data that change between two sessions are seen as the first ones were.
    np.savez("x.npz", x=x * 3, y=y)
    result = cli(f"resume={run}", "steps=4", "report=false")
    assert result.code == 0, result.err
    assert load(run).spec == spec
    # Moved data are named, and come back in their own units too.
    Path("x.npz").rename("moved.npz")
    assert cli(f"run={run}", "data.file=moved.npz", app=commands.SAMPLE).code == 0
    result = cli(
        f"run={run}", "data.file=moved.npz", "n=100", "metrics=copies", app=commands.EVALUATE
    )
    assert result.code == 0, result.err


def test_arrays_of_any_model_can_be_trained_on(cli: Cli) -> None:
    assert cli(*QUICK, "name=digits").code == 0
    sampled = ("run=outputs/digits", "mode=array", "n=20")
    assert cli(*sampled, "out=d.npy", app=commands.SAMPLE).code == 0
    assert np.load("d.npy").dtype == np.uint8
    assert cli("data=arrays", "data.file=d.npy", *QUICK, "model=dcgan", "model.width=4").code == 0
    for out, word in (("d.csv", "give d.npz"), ("outputs", "is a folder")):
        result = cli(*sampled, f"out={out}", app=commands.SAMPLE)
        assert result.code == 2
        assert word in result.err
    result = cli("run=outputs/digits", "data.file=d.npy", app=commands.SAMPLE)
    assert "only a grid of points" in result.err


def test_points_in_many_dimensions_have_a_picture() -> None:
    real = torch.randn(100, 50) * torch.linspace(5, 0.1, 50)
    picture = plot_components(real[:30] + 1, real)
    state = torch.get_rng_state()
    assert np.array_equal(picture, plot_components(real[:30] + 1, real))
    assert torch.equal(state, torch.get_rng_state())
    assert not np.array_equal(picture, plot_components(real[30:60], real))
    plot_components(real[:2], real[:1])  # a single point has no direction
