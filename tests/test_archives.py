"""Archives of images are read in place: as the same folder would be, or with a clear message."""

import io
import json
import shutil
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gan_cli.data.base import Dataset, FileImages
from gan_cli.data.batches import make_batches
from gan_cli.data.files import archives
from gan_cli.data.image_folder import ImageFolder
from gan_cli.errors import UserError
from tests.conftest import Cli

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAN_TRAIN_CACHE", str(tmp_path_factory.mktemp("cache")))


def png(seed: int, size: int = 20) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (size, size + seed, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def photos(root: Path) -> dict[str, bytes]:
    """Files of two classes, one nested, with a damaged one; written below `root` too."""
    files = {f"cats/{i}.png": png(i) for i in range(4)}
    files |= {f"dogs/old/{i}.png": png(10 + i) for i in range(3)}
    files |= {"dogs/broken.png": png(1)[:90], "dogs/notes.txt": b"hello"}
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return files


def write_zip(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def write_tar(path: Path, files: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def loaded(root: Path, *, cache: bool = True, **more: object) -> Dataset:
    return source(root, cache=cache, **more).load(seed=0, progress=lambda *_: None)


def source(root: Path, **more: object) -> ImageFolder:
    settings = {
        "channels": 3, "image_size": 8, "load_size": None, "resize": "cover", "crop": "center",
        "flip": False, "cache": True, "workers": 0, "pixel_range": [-1, 1],
    }  # fmt: skip
    return ImageFolder(root=str(root), **{**settings, **more})  # type: ignore[arg-type]


def refused(root: Path) -> str:
    with pytest.raises(UserError) as error:
        loaded(root)
    return str(error.value)


def variants(folder: Path, files: dict[str, bytes]) -> dict[str, Path]:
    inside = {f"./photos/{name}": content for name, content in files.items()}
    junk = {
        "__MACOSX/cats/._0.png": b"\0\5\x16\7", "cats/.DS_Store": b"x", ".git/config": b"x",
    }  # fmt: skip
    windows = {name.replace("/", "\\"): content for name, content in files.items()}
    return {
        "zip": write_zip(folder / "a.zip", files),
        "stored": write_zip(folder / "b.zip", files | junk, zipfile.ZIP_STORED),
        "windows": write_zip(folder / "c.zip", windows),
        "tar": write_tar(folder / "d.tar", files | junk),
        "below": write_tar(folder / "e.tar", inside),
    }


def test_an_archive_gives_what_its_folder_gives(tmp_path: Path) -> None:
    files = photos(tmp_path / "folder")
    expected = loaded(tmp_path / "folder")
    assert isinstance(expected.values, torch.Tensor)
    assert expected.labels is not None
    assert len(expected) == 7
    for kind, root in variants(tmp_path, files).items():
        for cache in (True, False):
            data = loaded(root, cache=cache)
            assert data.labels is not None
            assert data.spec == expected.spec, kind
            if cache:
                assert torch.equal(data.values, expected.values), kind  # type: ignore[arg-type]
                assert torch.equal(data.labels, expected.labels)
                assert any("2 of 9 files are not used" in note for note in data.notes), data.notes
            else:
                assert torch.equal(data.first(7), expected.first(7)), kind
        assert not list(tmp_path.glob("**/photos"))


@pytest.mark.parametrize("workers", [0, 2])
def test_streams_from_archives_are_those_of_folders(tmp_path: Path, workers: int) -> None:
    root = write_zip(tmp_path / "a.zip", photos(tmp_path / "folder"))
    batches = [
        make_batches(loaded(place, cache=False, workers=workers), 5, seed=1, device=CPU)
        for place in (root, tmp_path / "folder")
    ]
    for _ in range(4):
        one, two = (next(each) for each in batches)
        assert torch.equal(one.x, two.x)  # type: ignore[union-attr]
        assert torch.equal(one.labels, two.labels)  # type: ignore[union-attr,arg-type]


def test_a_run_on_an_archive_resumes_exactly(cli: Cli, tmp_path: Path) -> None:
    root = write_tar(tmp_path / "photos.tar", photos(tmp_path / "folder"))
    quick = ("data=image_folder", "data.image_size=8", "data.batch_size=4", "report=false",
             "model.generator.hidden=[8]", "model.discriminator.hidden=[8]", "sample_every=0",
             "log_every=1", f"data.root={root}", "data.cache=false", "data.workers=0")  # fmt: skip
    assert cli(*quick, "steps=6", "name=whole").code == 0
    assert cli(*quick, "steps=3", "name=half").code == 0
    assert cli("resume=outputs/half", "steps=6", "report=false").code == 0
    lines = [
        [
            {key: value for key, value in json.loads(line).items() if key.startswith("loss")}
            for line in Path(f"outputs/{name}/metrics.jsonl").read_text().splitlines()
        ]
        for name in ("whole", "half")
    ]
    assert lines[0] == lines[1]
    shutil.move(root, tmp_path / "moved.tar")
    assert cli("resume=outputs/half", "steps=7", f"data.root={tmp_path}/moved.tar").code == 0


def test_train_and_test_folders_in_an_archive(tmp_path: Path) -> None:
    files = {f"train/{name}/{i}.png": png(i) for name in "ab" for i in range(3)}
    files |= {f"test/{name}/{i}.png": png(20 + i) for name in "ab" for i in range(2)}
    folder = source(write_zip(tmp_path / "a.zip", files))
    assert len(folder.load(seed=0, progress=lambda *_: None)) == 6
    test = folder.load_test(seed=0, progress=lambda *_: None)
    assert test is not None
    assert len(test) == 4
    assert test.labels is not None
    assert test.labels.tolist() == [0, 0, 1, 1]


def test_labels_of_styleGAN(tmp_path: Path) -> None:
    files = {f"0000{i}/img{i}.png": png(i) for i in range(5)}
    labels = [[name, 7 if i % 2 else 3] for i, name in enumerate(files)]
    whole = json.dumps({"labels": labels}).encode()
    data = loaded(write_zip(tmp_path / "a.zip", files | {"dataset.json": whole}))
    assert data.spec.class_names == ("3", "7")
    assert data.labels is not None
    assert data.labels.tolist() == [0, 1, 0, 1, 0]
    part = json.dumps({"labels": labels[:4]}).encode()
    data = loaded(write_zip(tmp_path / "b.zip", files | {"dataset.json": part}))
    assert len(data) == 4
    assert "1 files without one" in " ".join(data.notes)
    # Folders share out the files; without labels they are no classes.
    data = loaded(write_zip(tmp_path / "c.zip", files | {"dataset.json": b'{"labels": null}'}))
    assert (len(data), data.labels) == (5, None)
    vectors = json.dumps({"labels": [[name, [0.5, 1]] for name in files]}).encode()
    data = loaded(write_zip(tmp_path / "d.zip", files | {"dataset.json": vectors}))
    assert (len(data), data.labels) == (5, None)
    assert "not classes" in " ".join(data.notes)
    data = loaded(write_zip(tmp_path / "e.zip", files | {"dataset.json": b"{"}))
    assert data.spec.classes == 5
    assert "not used" in " ".join(data.notes)


def test_members_that_cannot_be_read_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {f"{i}.png": png(i) for i in range(4)} | {"bomb.png": b"\0" * 400_000}
    root = write_zip(tmp_path / "a.zip", files)
    monkeypatch.setattr(archives, "MOST_BYTES", 300_000)
    content = bytearray(root.read_bytes())
    place = content.index(png(1)[:40]) if png(1)[:40] in content else 0
    with zipfile.ZipFile(root) as archive:
        place = archive.getinfo("1.png").header_offset + 60
    content[place] ^= 0xFF
    place = content.rindex(b"PK\x01\x02", 0, content.rindex(b"2.png"))
    content[place + 8] |= 1  # the flag of encryption, in the index
    root.write_bytes(content)
    data = loaded(root)
    assert len(data) == 2
    notes = " ".join(data.notes)
    assert "bomb.png: would unpack to 400,000 bytes" in notes
    assert "1.png: damaged" in notes
    assert "2.png: encrypted" in notes


def test_a_member_never_unpacks_to_more_than_it_claims(tmp_path: Path) -> None:
    root = write_zip(tmp_path / "a.zip", {"0.png": png(0), "1.png": b"\0" * 10_000_000})
    content = bytearray(root.read_bytes())
    place = content.rindex(b"PK\x01\x02", 0, content.rindex(b"1.png"))
    content[place + 24 : place + 28] = (100).to_bytes(4, "little")  # its size, in the index
    root.write_bytes(content)
    data = loaded(root)
    assert len(data) == 1
    assert "1.png: damaged" in " ".join(data.notes)


def test_archives_that_cannot_be_used(tmp_path: Path) -> None:
    files = photos(tmp_path / "folder")
    root = write_tar(tmp_path / "a.tar.gz", files, "w:gz")
    assert "gunzip" in refused(root)
    root = write_zip(tmp_path / "a.zip", files)
    content = bytearray(root.read_bytes())
    content[content.rindex(b"PK\x01\x02")] = 0
    root.write_bytes(content)
    assert f"data.root={root}: is a damaged archive" in refused(root)
    assert "no files" in refused(write_zip(tmp_path / "b.zip", {}))
    assert "no usable image" in refused(write_zip(tmp_path / "c.zip", {"a.txt": b"x"}))
    root = tmp_path / "d.7z"
    root.write_bytes(b"7z\xbc\xaf\x27\x1c" + bytes(100))
    assert "is an archive: unpack it, and give the folder" in refused(root)
    root = write_tar(tmp_path / "e.tar", files)
    whole = root.read_bytes()
    root.write_bytes(whole[:-30_000] if len(whole) > 40_000 else whole[: len(whole) // 2])
    assert "damaged" in " ".join(loaded(root).notes)


def test_pages_in_an_archive(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (9, 9), (90 * i, 0, 0)) for i in range(3)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "TIFF", save_all=True, append_images=frames[1:])
    root = write_zip(tmp_path / "a.zip", {"x.tiff": buffer.getvalue()})
    assert len(loaded(root, pages="all")) == 3
    streamed = loaded(root, pages="all", cache=False)
    assert isinstance(streamed.values, FileImages)
    assert len(streamed.first(3)) == 3
    assert loaded(root, background="auto").spec.shape == (3, 8, 8)
