"""Shards: shared out without overlap, shuffled, resumed at a boundary; and what is rejected."""

import io
import json
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from gan_cli.cli import commands
from gan_cli.data.base import ShardDataset
from gan_cli.data.shards.batches import ShardBatches
from gan_cli.data.shards.read import UnreadableShardError
from gan_cli.data.shards.stream import Position, Reader, deal_shards
from gan_cli.data.webdataset import WebDataset
from gan_cli.errors import UserError
from gan_cli.system.ranks import ALONE, Ranks
from tests.conftest import Cli, free_port
from tests.test_ranks import run

CPU = torch.device("cpu")
SMALL = (
    "data=webdataset", "data.root=.", "data.image_size=8", "data.channels=1", "data.batch_size=4",
    "threads=1", "log_every=1", "sample_every=0", "model.generator.hidden=[8]",
    "model.discriminator.hidden=[8]",
)  # fmt: skip


def png(value: int, size: int = 8) -> bytes:
    """A gray picture of one value."""
    file = io.BytesIO()
    Image.fromarray(np.full((size, size), value, dtype=np.uint8)).save(file, "png")
    return file.getvalue()


def write_tar(path: Path, files: dict[str, bytes]) -> None:
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))


def write_shards(folder: Path, counts: list[int]) -> None:
    """Shards of so many images; image i has the value i and the label i % 3."""
    i = 0
    for number, count in enumerate(counts):
        files = {}
        for _ in range(count):
            files |= {f"{i:04d}.png": png(i), f"{i:04d}.cls": str(i % 3).encode()}
            i += 1
        write_tar(folder / f"s-{number}.tar", files)


def source(root: Path, **changes: Any) -> WebDataset:
    settings: dict[str, Any] = {
        "root": str(root), "shards": "s-{0..3}.tar", "images": None, "classes": 0, "channels": 1,
        "image_size": 8, "load_size": None, "resize": "cover", "crop": "center", "flip": False,
        "shuffle_buffer": 5, "workers": 0, "pixel_range": (0, 1),
    }  # fmt: skip
    return WebDataset(**settings | changes)


def load(root: Path, **changes: Any) -> ShardDataset:
    return source(root, **changes).load(seed=0, progress=lambda *_: None)


def batches(data: ShardDataset, m: int, seed: int = 0, ranks: Ranks = ALONE) -> ShardBatches:
    return ShardBatches(data, m, seed=seed, device=CPU, ranks=ranks)


def numbers(x: Tensor) -> list[int]:
    return (255 * x[:, 0, 0, 0]).round().int().tolist()


def drawn(some: ShardBatches, n: int) -> list[list[int]]:
    return [numbers(next(some).x) for _ in range(n)]


def flat(parts: list[list[int]]) -> list[int]:
    return [number for part in parts for number in part]


class Together(Ranks):
    """A rank that knows what all ranks have."""

    values: list[Any]

    def gather(self, value: Any) -> list[Any]:
        return self.values


@pytest.mark.parametrize("buffer", [0, 5, 1000])
def test_every_image_once_an_epoch_over_all_workers(tmp_path: Path, buffer: int) -> None:
    counts = [5, 3, 4, 6, 2, 7, 1]
    write_shards(tmp_path, counts)
    shards = load(tmp_path, shards="s-{0..6}.tar", shuffle_buffer=buffer).shards
    seen: dict[int, list[int]] = {epoch: [] for epoch in range(3)}
    for slot in range(4):  # two workers of two processes
        reader = Reader(shards, seed=0, slot=slot, slots=4, position=Position(0, 0))
        for pixels, _, _ in reader.images():
            if reader.epoch == len(seen):
                break
            seen[reader.epoch].append(int(pixels[0, 0, 0]))
    for images in seen.values():
        assert sorted(images) == list(range(sum(counts)))


def test_no_worker_runs_ahead(tmp_path: Path) -> None:
    """Of 7 shards among 3 workers, another one gets three of them each time."""
    for epoch in range(3):
        parts = [deal_shards(7, seed=1, epoch=epoch, slot=slot, slots=3) for slot in range(3)]
        assert sorted(flat(parts)) == list(range(7))
        assert [len(part) for part in parts].index(3) == -epoch % 3


def test_worker_processes_of_all_ranks_share_an_epoch(tmp_path: Path) -> None:
    write_shards(tmp_path, [6, 6, 6, 6])
    data = load(tmp_path, workers=2)
    parts = [drawn(batches(data, 6, ranks=Ranks(rank, 2)), 4) for rank in range(2)]
    assert all(len(batch) == 3 for part in parts for batch in part)
    flat = [sorted(number for batch in part for number in batch) for part in parts]
    assert sorted(flat[0] + flat[1]) == list(range(24))


def test_the_order_is_shuffled_and_a_function_of_the_seed(tmp_path: Path) -> None:
    write_shards(tmp_path, [6, 6, 6, 6])
    data = load(tmp_path, workers=2)
    first, again, other = (batches(data, 8, seed=seed) for seed in (3, 3, 4))
    order = drawn(first, 6)
    assert drawn(again, 6) == order
    assert drawn(other, 6) != order
    assert order[:3] != order[3:], "epochs differ"
    in_process = load(tmp_path, workers=0)
    assert drawn(batches(in_process, 24), 1) != [list(range(24))]
    one = replace(data, shards=replace(data.shards, workers=1))
    assert drawn(batches(one, 8), 4) == drawn(batches(in_process, 8), 4)
    unmixed = load(tmp_path, shuffle_buffer=0)
    for start in range(0, 24, 6):  # without a buffer, each shard in its own order
        (shard,) = drawn(batches(unmixed, 24), 1)
        assert np.diff(shard[start : start + 6]).tolist() == [1] * 5


@pytest.mark.parametrize("workers", [0, 1])
def test_resume_begins_at_the_next_shard(tmp_path: Path, workers: int) -> None:
    write_shards(tmp_path, [4, 4, 4])
    data = load(tmp_path, shards="s-{0..2}.tar", shuffle_buffer=0, workers=workers)
    whole = batches(data, 2)
    begun = drawn(whole, 3)  # a shard and a half; workers are further ahead
    state = whole.state_dict()
    assert state == {"positions": [[0, 2]]}
    resumed, again = batches(data, 2), batches(data, 2)
    for one in (resumed, again):
        one.load_state_dict(state)
    assert resumed.state_dict() == state
    order = drawn(resumed, 8)
    assert drawn(again, 8) == order
    third = flat(order[:2])
    assert third == list(range(third[0], third[0] + 4)), "a shard from its beginning"
    assert not set(third) & set(flat(begun)), "one that had not been begun"
    assert sorted(flat(order[2:])) == list(range(12)), "then a whole epoch"
    (note,) = resumed.resume_notes
    assert "in epoch 1 (2 of 3 shards begun)" in note
    assert "left out" in note


def test_all_ranks_positions_are_saved_and_restored(tmp_path: Path) -> None:
    write_shards(tmp_path, [2] * 8)
    data = load(tmp_path, shards="s-{0..7}.tar", workers=2)
    ranks = Together(1, 2)
    ranks.__dict__["values"] = [[Position(0, 1), Position(0, 2)], [Position(1, 0), Position(0, 1)]]
    some = batches(data, 4, ranks=ranks)
    state = some.state_dict()
    some.load_state_dict(state)
    assert some.positions == [Position(1, 0), Position(0, 1)]
    assert "in epoch 1 (6 of 8 shards begun)" in some.resume_notes[0]
    # One process of one worker cannot resume where four were: it begins a new epoch.
    alone = batches(load(tmp_path, shards="s-{0..7}.tar"), 16)
    alone.load_state_dict(state)
    assert alone.positions == [Position(2, 0)]
    assert "epoch 3: their readers were 4, are now 1" in alone.resume_notes[0]
    assert sorted(drawn(alone, 1)[0]) == list(range(16))
    for broken in ([], [[0, -1]], [[0, "x"]], [[0.5, 0]]):
        with pytest.raises(ValueError, match="positions"):
            alone.load_state_dict({"positions": broken})


def losses(name: str) -> list[dict[str, float]]:
    lines = Path(f"outputs/{name}/metrics.jsonl").read_text().splitlines()
    return [
        {key: value for key, value in json.loads(line).items() if key.startswith("loss")}
        for line in lines
    ]


def test_training_with_workers_and_resuming(cli: Cli) -> None:
    write_shards(Path(), [6, 5, 4, 7])
    base = (*SMALL, "data.shards='s-{0..3}.tar'", "data.workers=2", "data.images=22")
    first = cli(*base, "steps=11", "name=first")
    assert first.code == 0, first.err
    assert "4 shards with 22 images of 1x8x8, m=4, k=1, 11 steps (2 epochs)" in first.out
    assert "beginning of a shard" not in first.out
    assert cli(*base, "steps=11", "name=second").code == 0
    assert losses("first") == losses("second")
    for name in ("x", "y"):
        file = "outputs/first/checkpoints/step_00000011.pt"
        resumed = cli(f"resume={file}", f"name={name}", "steps=16")
        assert resumed.code == 0, resumed.err
        assert resumed.out.count("note: data resume at the beginning of a shard, in epoch") == 1
    assert losses("x") == losses("y")
    assert len(losses("x")) == 5
    moved = cli("resume=outputs/first", "steps=13", "data.workers=1")
    assert moved.code == 0, moved.err
    assert "their readers were 2, are now 1" in moved.out


def test_labels_stay_with_their_images(cli: Cli, tmp_path: Path) -> None:
    write_shards(tmp_path, [4, 4, 4, 4])
    data = load(tmp_path, classes=3, load_size=10, crop="random", flip=True)
    batch = next(batches(data, 16))
    assert batch.labels is not None
    assert batch.x.shape == (16, 1, 8, 8)
    assert batch.labels.tolist() == [number % 3 for number in numbers(batch.x)]
    result = cli(
        *SMALL[:-2], "model=cgan", "model.width=4", "data.shards='s-{0..3}.tar'", "data.classes=3",
        "data.workers=0", "steps=2",
    )  # fmt: skip
    assert result.code == 0, result.err


def test_damaged_images_and_shards_are_named_and_passed_over(tmp_path: Path) -> None:
    write_shards(tmp_path, [4, 4])
    whole = (tmp_path / "s-1.tar").read_bytes()
    (tmp_path / "s-1.tar").write_bytes(whole[:-12_000])
    (tmp_path / "s-2.tar").write_text("no tar file")
    cut = {"a.png": png(9)[:40], "b.json": b"{}", "c.png": png(99), "c.cls": b"7"}
    write_tar(tmp_path / "s-3.tar", cut)
    reports: list[str] = []
    some = batches(load(tmp_path), 4)
    some.watch(reports.append)
    images = {number for batch in drawn(some, 20) for number in batch}
    assert {0, 1, 2, 3, 99} <= images < set(range(8)) | {99}
    assert len(reports) == len(set(reports)) == 4
    said = "\n".join(reports)
    assert f"{tmp_path}/s-3.tar: a cannot be used (" in said
    assert f"{tmp_path}/s-3.tar: b cannot be used (no image among .json)" in said
    assert "s-1.tar cannot be read to its end (" in said
    assert "s-2.tar cannot be read to its end (" in said
    labelled = batches(load(tmp_path, classes=3, shards=["s-0.tar", "s-3.tar"]), 4)
    labelled.watch(reports.append)
    drawn(labelled, 3)
    assert any(
        "c cannot be used (.cls holds '7', no number below data.c" in text for text in reports
    )


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda tar: tar[:5120] + b"?" * 512 + tar[5632:], "a damaged header: "),
        (lambda tar: tar[:5120], "cut short: no end mark"),
        (lambda tar: tar[:5300], "a damaged header: truncated header"),
    ],
)
def test_a_damaged_header_is_no_silent_end(
    tmp_path: Path, damage: Callable[[bytes], bytes], why: str
) -> None:
    write_shards(tmp_path, [4, 4])
    shard = tmp_path / "s-1.tar"
    whole = shard.read_bytes()
    with tarfile.open(shard) as archive:
        assert 5120 in [member.offset for member in archive]
    shard.write_bytes(damage(whole))
    reports: list[str] = []
    some = batches(load(tmp_path, shards="s-{0..1}.tar"), 4)
    some.watch(reports.append)
    drawn(some, 8)
    assert len(reports) == 1
    assert f"s-1.tar cannot be read to its end ({why}" in reports[0]


def test_an_empty_shard_is_named(tmp_path: Path) -> None:
    write_shards(tmp_path, [4])
    write_tar(tmp_path / "s-1.tar", {})
    reports: list[str] = []
    some = batches(load(tmp_path, shards="s-{0..1}.tar"), 4)
    some.watch(reports.append)
    drawn(some, 4)
    assert reports == [f"{tmp_path}/s-1.tar holds no files; the next shard is read."]


def test_shards_of_one_size_are_told_apart(tmp_path: Path) -> None:
    write_shards(tmp_path, [4, 4])
    before, again = (load(tmp_path, shards="s-{0..1}.tar").fingerprint() for _ in range(2))
    (tmp_path / "s-1.tar").write_bytes((tmp_path / "s-0.tar").read_bytes())
    assert before == again != load(tmp_path, shards="s-{0..1}.tar").fingerprint()


@pytest.mark.parametrize("workers", [0, 1])
def test_shards_that_vanish_end_the_run(tmp_path: Path, workers: int) -> None:
    write_shards(tmp_path, [4, 4, 4, 4])
    some = batches(load(tmp_path, workers=workers), 4)
    for file in tmp_path.glob("*.tar"):
        file.unlink()
    with pytest.raises(UserError, match=r"4 in a row cannot be read.*s-\d\.tar \(No such file"):
        next(some)


def test_shards_without_a_usable_image_end_the_run(tmp_path: Path) -> None:
    write_shards(tmp_path, [2, 2])
    some = batches(load(tmp_path, shards="s-{0..1}.tar"), 4)
    for number in range(2):
        write_tar(tmp_path / f"s-{number}.tar", {"a.png": b"x"})
    with pytest.raises(UserError, match="none of them has an image"):
        next(some)


def test_fewer_images_than_a_batch_span_epochs(tmp_path: Path) -> None:
    write_shards(tmp_path, [3])
    (batch,) = drawn(batches(load(tmp_path, shards="s-0.tar"), 7), 1)
    assert sorted(batch[:3]) == sorted(batch[3:6]) == [0, 1, 2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "data.shards=null: name the tar files"),
        (("data.shards='s-{0..4}.tar'",), "data.shards: 1 of 5 not found: "),
        (("data.shards=nowhere.tar",), "relative paths begin at data.root=."),
        (("data.shards=text.tar",), "text.tar cannot be read (truncated header)"),
        (("data.shards=json.tar",), "no usable image in all shards"),
        (("data.shards='{a.tar'",), "its braces do not match"),
        (("data.shards=[s-0.tar,s-0.tar]",), "data.shards=s-0.tar: is named twice"),
        (("data.shards='s-{0..9999999999}.tar'",), "more than 1,000,000"),
        (("data.shards='pipe:cat s-0.tar'",), "cannot read from pipe:"),
        (("data.shards='s-{0..3}.tar'", "data.workers=5"), "Use at most data.workers=4"),
        (("data.shards=s-0.tar", "data.validation=2"), "leave whole shards out"),
        (
            ("data.shards=s-0.tar", "model.generator.output_bias=marginals"),
            "needs the mean of all images",
        ),
        (("data.shards=s-0.tar", "data.classes=-1", "data.images=0"), "data.images=0: must be"),
        (("data.shards=s-0.tar", "data.shuffle_buffer=-1"), "data.shuffle_buffer=-1"),
        (("data.shards=s-0.tar", "data.load_size=4"), "data.load_size=4"),
        (("data.shards=s-0.tar", "model=cyclegan"), "one domain, but model=cyclegan"),
    ],
)
def test_mistakes_are_one_message(cli: Cli, arguments: tuple[str, ...], message: str) -> None:
    write_shards(Path(), [2, 2, 2, 2])
    Path("text.tar").write_text("no tar file")
    write_tar(Path("json.tar"), {"a.json": b"{}"})
    networks = () if "model=cyclegan" in arguments else SMALL
    result = cli(*(networks or SMALL[:-2]), "steps=1", *arguments)
    assert result.code == 2
    assert message in result.err
    assert "Traceback" not in result.err
    assert not Path("outputs").exists()


def test_more_processes_than_shards(tmp_path: Path) -> None:
    few = source(tmp_path, workers=None)  # four shards
    assert few.sharing_problem(4) is None
    assert few.shards().workers_of(2) == 2
    problem = few.sharing_problem(5)
    assert problem is not None
    assert problem.key == "data.shards"
    assert "at least 5 shards, or train with 4 processes" in problem.advice
    problem = source(tmp_path, workers=3).sharing_problem(2)
    assert problem is not None
    assert (problem.key, problem.value) == ("data.workers", 3)
    assert "4 shards for 6 workers (2 processes of 3)" in problem.advice


def test_a_missing_package_says_what_to_install(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "webdataset", None)
    result = cli(*SMALL, "data.shards=s-0.tar")
    assert result.code == 2
    assert "needs webdataset: pip install 'gan-train[webdataset]'" in result.err


@pytest.fixture
def commands_as_servers(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Addresses as the library sees them; behind each, a command that prints the file named."""
    import webdataset
    from webdataset.gopen import Pipe

    begun: list[subprocess.Popen[bytes]] = []

    def fetch(url: str, mode: str, bufsize: int) -> Any:
        host, _, path = url.removeprefix("https://").partition("/")
        last = "exit 22" if host == "broken" else "exit 0"
        pipe = Pipe(["sh", "-c", f'cat "/{path}"; {last}'], mode=mode, bufsize=bufsize)
        begun.append(pipe.proc)
        return pipe

    monkeypatch.setitem(webdataset.gopen_schemes, "https", fetch)
    yield begun
    assert all(process.poll() is not None for process in begun), "no command is left behind"


def test_addresses_are_read_through_the_library(
    tmp_path: Path, commands_as_servers: list[subprocess.Popen[bytes]]
) -> None:
    write_shards(tmp_path, [200, 4])
    data = load(tmp_path, shards=f"https://host{tmp_path}/s-{{0..1}}.tar")
    assert len(commands_as_servers) == 1, "one request is enough to check one image"
    assert sorted(drawn(batches(data, 204), 1)[0]) == list(range(204))
    assert numbers(data.first(3)) == [0, 1, 2]
    broken = source(tmp_path, shards=f"https://broken{tmp_path}/s-1.tar").shards()
    with pytest.raises(UnreadableShardError, match="sh ended with exit code 22"):
        list(broken.read(broken.names[0]))
    file = load(tmp_path, shards=f"file://{tmp_path}/s-1.tar")
    assert sorted(drawn(batches(file, 4), 1)[0]) == list(range(200, 204))


def test_an_address_that_fails_is_named(cli: Cli) -> None:
    url = f"http://127.0.0.1:{free_port()}/s-0.tar"
    result = cli(*SMALL, f"data.shards='{url}'", "steps=1")
    assert result.code == 2
    assert f"data.shards: {url} cannot be read (" in result.err
    assert not Path("outputs").exists()


def test_evaluations_take_the_first_images(cli: Cli) -> None:
    write_shards(Path(), [6, 6])
    result = cli(
        *SMALL, "data.shards='s-{0..1}.tar'", "steps=2", "eval_every=2", "eval_samples=9",
        "eval_metrics=diversity", "name=run",
    )  # fmt: skip
    assert result.code == 0, result.err
    assert "evaluations hold samples against the first 9 images of the shards" in result.out
    Path("elsewhere").mkdir()
    for file in Path().glob("*.tar"):
        file.rename(Path("elsewhere") / file.name)
    result = cli(
        "run=outputs/run", "data.root=elsewhere", "metrics=[diversity,nearest]", "n=50",
        app=commands.EVALUATE,
    )  # fmt: skip
    assert result.code == 0, result.err
    assert "the first 12 images of the shards" in result.out
    assert "eval/diversity_real" in json.loads(Path("outputs/run/evaluation.json").read_text())


@pytest.mark.slow
def test_two_processes_train_and_resume(tmp_path: Path) -> None:
    write_shards(tmp_path, [9, 2, 5, 3, 8])  # uneven: nobody waits for shards of others
    together = (*SMALL, "data.shards='s-{0..4}.tar'", "data.workers=2", "checkpoint_every=10")
    whole = run(*together, "steps=20", "name=run", cwd=tmp_path)
    assert whole.returncode == 0, whole.stderr
    resumed = run("resume=outputs/run", "steps=24", cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    assert resumed.stdout.count("note: data resume at the beginning of a shard") == 1
    rejected = run(*together, "data.workers=3", cwd=tmp_path)
    assert rejected.stderr.count("5 shards for 6 workers (2 processes of 3)") == 1


def test_images_merged_by_dots_in_their_names_are_rejected(tmp_path: Path) -> None:
    write_tar(tmp_path / "s.tar", {f"IMG.{n:04d}.png": png(n) for n in range(6)})
    with pytest.raises(UserError, match=r"sample IMG holds 6 images(.|\n)*5 images") as error:
        load(tmp_path, shards="s.tar")
    assert "IMG_0000.png" in str(error.value)
    write_tar(tmp_path / "t.tar", {"a.png": png(1), "a.b.png": png(2), "c.png": png(3)})
    with pytest.raises(UserError, match="sample a holds 2 images"):
        load(tmp_path, shards="t.tar")


def test_several_images_in_each_sample_are_said(tmp_path: Path) -> None:
    files = {f"{n}.{side}.png": png(n) for n in range(3) for side in ("left", "right")}
    write_tar(tmp_path / "s.tar", files)
    (note,) = load(tmp_path, shards="s.tar").notes
    assert "3 of the first 3 samples hold 2 images" in note
    assert "left.png is used" in note


def test_labels_beyond_the_classes_are_rejected_with_numbers(tmp_path: Path) -> None:
    files: dict[str, bytes] = {}
    for n in range(6):
        files |= {f"{n}.png": png(n), f"{n}.cls": str(1 + n % 3).encode()}
    write_tar(tmp_path / "s.tar", files)
    with pytest.raises(UserError, match=r"data\.classes=3: 2 of the first 6 labels") as error:
        load(tmp_path, shards="s.tar", classes=3)
    assert "data.classes=4" in str(error.value)
    assert load(tmp_path, shards="s.tar", classes=4).spec.classes == 4
