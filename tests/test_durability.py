"""Checkpoints survive damage, full disks and hostility; divergence saves nothing bad."""

import copy
import json
import math
import os
import resource
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from PIL import Image
from torch import nn

from gan_cli.errors import DivergedError, UserError
from gan_cli.games.base import Scalars
from gan_cli.games.gan import GAN
from gan_cli.runs import checkpoint
from gan_cli.runs.index import INDEX, read_index
from gan_cli.runs.saver import Saver
from gan_cli.settings.stored import BEFORE
from gan_cli.spec import Batch
from gan_cli.system.files import Appender
from gan_cli.training.finite import FiniteGuard, NonFiniteMove
from gan_cli.training.state import lay_out_as_weights
from gan_cli.training.turn import Move, Turn, play
from tests.conftest import Cli
from tests.test_loop import CPU, same, session, snapshot
from tests.test_resume import SETTINGS, assert_equal, metrics

PLAIN = {"config": {}, "spec": {}, "environment": {}}


def state(step: int = 1, **session: Any) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(step)
    weights = torch.randn(300, generator=generator)
    return {"step": step, "session": {"weights": weights, **session}, **PLAIN}


def write(folder: Path, step: int, **how: Any) -> Path:
    return checkpoint.save(folder, state(step), **({"keep_last": 3, "keep_every": 0} | how))


def test_every_flipped_bit_and_every_truncation_is_noticed(tmp_path: Path) -> None:
    path = write(tmp_path, 1)
    content = path.read_bytes()
    for position in range(0, len(content), 7):
        hurt = bytearray(content)
        hurt[position] ^= 1 << position % 8
        path.write_bytes(hurt)
        with pytest.raises(UserError, match=r"step_00000001\.pt"):
            checkpoint.read(path)
        path.write_bytes(content[:position])
        with pytest.raises(UserError, match=r"step_00000001\.pt"):
            checkpoint.read(path)
    path.write_bytes(content)
    assert_equal(checkpoint.read(path)["session"], state()["session"])


def test_torch_alone_reads_a_sealed_checkpoint(tmp_path: Path) -> None:
    path = write(tmp_path, 1)
    assert torch.load(path, weights_only=True)["format"] == checkpoint.FORMAT
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert archive.comment.startswith(b"gan-train sha256:")


def test_an_unsealed_checkpoint_of_format_1_is_read_and_one_of_format_2_is_not(
    tmp_path: Path,
) -> None:
    path = tmp_path / "step_00000001.pt"
    torch.save({"format": 1, **state()}, path)
    assert checkpoint.read(path)["step"] == 1
    torch.save({"format": 2, **state()}, path)
    with pytest.raises(UserError, match="checksum is missing"):
        checkpoint.read(path)
    torch.save({"format": 99, **state()}, path)
    with pytest.raises(UserError, match="checkpoint format 99, but this version reads 1 and 2"):
        checkpoint.read(path)


def test_a_run_of_format_1_goes_on(cli: Cli) -> None:
    assert cli(*SETTINGS, "steps=12", "name=whole").code == 0
    assert cli(*SETTINGS, "steps=6", "name=old").code == 0
    path = Path("outputs/old/checkpoints/step_00000006.pt")
    torch.save(checkpoint.read(path) | {"format": 1}, path)
    assert cli("resume=outputs/old", "steps=12").code == 0
    assert metrics(Path("outputs/old")) == metrics(Path("outputs/whole"))


@pytest.mark.slow
def test_absurd_sizes_cost_no_memory(tmp_path: Path) -> None:
    """Compressed parts and tensors that claim gigabytes are refused before they are made."""
    good, bomb = write(tmp_path, 1), tmp_path / "bomb.pt"
    with zipfile.ZipFile(good) as source, zipfile.ZipFile(bomb, "w") as target:
        for part in source.infolist():
            target.writestr(part.filename, source.read(part))
        name = source.namelist()[0].split("/")[0]
        with target.open(zipfile.ZipInfo(f"{name}/data/99"), "w", force_zip64=True) as file:
            file.write(b"")
    with zipfile.ZipFile(bomb, "a", zipfile.ZIP_DEFLATED) as target:
        target.writestr(f"{name}/data/100", bytes(2**28))
    expanded = tmp_path / "expanded.pt"
    torch.save({"format": 1, **state(huge=torch.zeros(1).expand(2**40))}, expanded)
    code = (
        "import resource, sys; from pathlib import Path; from gan_cli import checkpoint\n"
        "from gan_cli.errors import UserError\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "for path in sys.argv[1:]:\n"
        "    try: checkpoint.read(Path(path))\n"
        "    except UserError as error: print(error)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(bomb), str(expanded)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    *messages, grown = done.stdout.splitlines()
    assert len(messages) == 2
    assert all("larger than the file" in message for message in messages)
    assert int(grown) < 100_000  # KiB


def test_older_ones_go_only_after_the_new_one_is_safe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in (1, 2, 3):
        write(tmp_path, step, keep_last=2)
    assert [checkpoint.step_of(p) for p in checkpoint.list_checkpoints(tmp_path)] == [3, 2]
    monkeypatch.setattr(checkpoint, "seal", lambda _: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(OSError, match="full"):
        write(tmp_path, 4, keep_last=2)
    assert [checkpoint.step_of(p) for p in checkpoint.list_checkpoints(tmp_path)] == [3, 2]
    assert not list(tmp_path.glob(".*"))


def test_free_space_is_looked_at_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: os.statvfs_result and Full)
    with pytest.raises(OSError, match=r"needs 1\.0 MiB, but 0\.0 MiB are free"):
        write(tmp_path, 2)
    assert [path.name for path in checkpoint.list_checkpoints(tmp_path)] == ["step_00000001.pt"]


class Full:
    free = 1000


def test_the_index_lists_what_is_there(tmp_path: Path) -> None:
    for step in (1, 2, 3, 4):
        write(tmp_path, step, keep_last=2, metrics={"loss/d": float(step)})
    entries = read_index(tmp_path)
    assert [(e["step"], e["metrics"]) for e in entries] == [
        (3, {"loss/d": 3.0}), (4, {"loss/d": 4.0}),
    ]  # fmt: skip
    assert all(e["bytes"] == (tmp_path / e["file"]).stat().st_size for e in entries)
    (tmp_path / INDEX).write_text("[1,")  # nothing depends on it
    write(tmp_path, 5)
    assert [e["step"] for e in read_index(tmp_path)] == [5]


def test_the_background_writes_what_was_there_when_asked(tmp_path: Path) -> None:
    saver, now = Saver(tmp_path), state(1)
    saver.save(now, keep_last=3, keep_every=0)
    now["session"]["weights"].zero_()  # training goes on
    saver.wait()
    assert saver.saved_step == 1
    assert_equal(checkpoint.read(tmp_path / "step_00000001.pt")["session"], state(1)["session"])


def test_the_background_reports_what_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saver = Saver(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Full)
    saver.save(state(1), keep_last=3, keep_every=0)
    with pytest.raises(OSError, match="are free"):
        saver.wait()
    assert saver.saved_step is None
    monkeypatch.undo()
    saver.save(state(2), keep_last=3, keep_every=0)
    saver.wait()
    assert saver.saved_step == 2


def test_memory_of_an_optimizer_lies_as_its_weights_do() -> None:
    """Fused kernels go by position: CycleGAN's weights are channels-last on CPUs alone."""
    torch.manual_seed(0)
    gradients = [torch.randn(8, 4, 3, 3) for _ in range(4)]

    def make(layout: torch.memory_format) -> tuple[nn.Parameter, torch.optim.Adam]:
        start = torch.ones(8, 4, 3, 3).contiguous(memory_format=layout)
        weight = nn.Parameter(start)
        return weight, torch.optim.Adam([weight], lr=0.1, fused=True)

    def move(weight: nn.Parameter, optimizer: torch.optim.Adam, part: slice) -> None:
        for gradient in gradients[part]:
            weight.grad = torch.empty_like(weight).copy_(gradient)
            optimizer.step()

    here, before = make(torch.contiguous_format)
    move(here, before, slice(0, 2))
    there, after = make(torch.channels_last)
    there.data.copy_(here.data)
    after.load_state_dict(copy.deepcopy(before.state_dict()))
    lay_out_as_weights(after)
    move(here, before, slice(2, 4))
    move(there, after, slice(2, 4))
    torch.testing.assert_close(here, there)


def test_a_run_from_before_newer_keys_goes_on(cli: Cli) -> None:
    assert cli(*SETTINGS, "steps=12", "name=whole").code == 0
    assert cli(*SETTINGS, "steps=6", "name=old").code == 0
    path = Path("outputs/old/checkpoints/step_00000006.pt")
    old = checkpoint.read(path)
    for key in BEFORE:
        del old["config"][key]
    torch.save(old | {"format": 1}, path)
    config = yaml.safe_load(Path("outputs/old/config.yaml").read_text())
    stripped = {key: value for key, value in config.items() if key not in BEFORE}
    Path("outputs/old/config.yaml").write_text(yaml.safe_dump(stripped))
    assert cli("resume=outputs/old", "steps=12").code == 0
    assert metrics(Path("outputs/old")) == metrics(Path("outputs/whole"))


def test_checkpoints_that_are_not_this_runs_are_named(cli: Cli) -> None:
    assert cli(*SETTINGS, "steps=12", "name=run").code == 0
    assert cli(*SETTINGS, "steps=6", "name=other", "seed=9").code == 0
    folder = Path("outputs/run/checkpoints")
    lines = metrics(Path("outputs/run"))
    (folder / "step_00000005.pt").rename(folder / "step_99999999.pt")
    result = cli("resume=outputs/run", "steps=13")
    assert result.code == 0
    assert "holds step 5, unlike its name" in result.out
    assert "resumed at step 12" in result.out
    foreign = checkpoint.read(Path("outputs/other/checkpoints/step_00000006.pt"))
    checkpoint.write(folder / "step_00000050.pt", foreign | {"step": 50})
    result = cli("resume=outputs/run", "steps=60")
    assert result.code == 2
    assert "is of another run" in result.err
    assert "seed: was 0, now 9" in result.err
    assert metrics(Path("outputs/run"))[: len(lines)] == lines


def test_a_folder_that_lost_its_checkpoints_is_not_started_over(cli: Cli) -> None:
    assert cli(*SETTINGS, "steps=6", "name=run").code == 0
    for path in checkpoint.list_checkpoints(Path("outputs/run/checkpoints")):
        path.unlink()
    lines = metrics(Path("outputs/run"))
    result = cli("resume=outputs/run", "steps=12")
    assert result.code == 2
    assert "listed in index.json, but not there" in result.err
    assert metrics(Path("outputs/run")) == lines
    os.mkfifo("outputs/run/checkpoints/step_00000500.pt")  # reading it would wait for ever
    assert cli("resume=outputs/run", "steps=12").code == 2


def test_a_hurt_index_stops_nothing(cli: Cli) -> None:
    for number, text in enumerate(('[{"file": [1]}]', "[" * 100_000, "x")):
        assert cli(*SETTINGS, "steps=3", f"name=run{number}").code == 0
        index = Path(f"outputs/run{number}/checkpoints/index.json")
        index.write_text(text)
        assert cli(f"resume=outputs/run{number}", "steps=6").code == 0
        index.unlink()
        index.mkdir()
        assert cli(f"resume=outputs/run{number}", "steps=9").code == 0


def test_bytes_of_a_crash_are_cut_from_the_log(cli: Cli) -> None:
    assert cli(*SETTINGS, "steps=12", "name=whole").code == 0
    assert cli(*SETTINGS, "steps=6", "name=hurt").code == 0
    with Path("outputs/hurt/metrics.jsonl").open("ab") as file:
        file.write(bytes(range(128, 256)))
    assert cli("resume=outputs/hurt", "steps=12").code == 0
    assert metrics(Path("outputs/hurt")) == metrics(Path("outputs/whole"))


def test_a_cycle_of_equal_images_has_no_diversity_to_lose(cli: Cli, tmp_path: Path) -> None:
    folder = tmp_path / "same"
    folder.mkdir()
    for name in "abcd":
        Image.new("RGB", (8, 8), (9, 9, 9)).save(folder / f"{name}.png")
    same_images = ["data=image_folder", f"data.root={folder}", "data.image_size=8"]
    quick = ["data.batch_size=2", "steps=16", "sample_every=2", "log_every=2"]
    assert cli(*same_images, *quick).code == 0


def test_leftovers_of_a_killed_process_are_removed(cli: Cli) -> None:
    assert cli(*SETTINGS, "steps=6", "name=run").code == 0
    for name in (".final.png.1.tmp", "checkpoints/.step_00000008.pt.1.tmp"):
        Path("outputs/run/samples" if "png" in name else "outputs/run", name).write_bytes(b"half")
    assert cli("resume=outputs/run", "steps=8").code == 0
    assert not list(Path("outputs/run").rglob(".*.tmp"))


def limited(size: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.slow
def test_a_full_disk_loses_nothing_that_was_saved(cli: Cli, tmp_path: Path) -> None:
    assert cli(*SETTINGS, "steps=22", "name=whole").code == 0
    assert cli(*SETTINGS, "steps=11", "name=full").code == 0
    size = Path("outputs/full/checkpoints/step_00000011.pt").stat().st_size
    done = subprocess.run(
        [sys.executable, "-m", "gan_cli.train", "resume=outputs/full", "steps=22"],
        cwd=tmp_path, capture_output=True, text=True, preexec_fn=limited(size // 2), check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stdout.count("warning: a checkpoint could not be written") == 1
    assert "the last checkpoint could not be written" in done.stderr
    assert "Traceback" not in done.stderr
    result = cli("resume=outputs/full", "steps=22")
    assert "resumed at step 11" in result.out
    assert metrics(Path("outputs/full")) == metrics(Path("outputs/whole"))


def test_lines_that_a_full_disk_refuses_are_kept_and_tried_again(tmp_path: Path) -> None:
    file = tmp_path / "lines"
    log = Appender(file)
    log.write("one\n")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (6, before[1]))
    try:
        for text in ("two\n", "three\n"):
            with pytest.raises(OSError, match="too large"):
                log.write(text)
            assert file.read_text() == "one\n"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    log.write("four\n")
    log.close()
    assert file.read_text() == "one\ntwo\nthree\nfour\n"


def test_checkpoints_are_due_by_time_too(cli: Cli) -> None:
    quick = ["checkpoint_every=0", "checkpoint_minutes=0.0001", "keep_last=100"]
    slow = [s for s in SETTINGS if "checkpoint_every" not in s and "keep_last" not in s]
    assert cli(*slow, *quick, "steps=8", "name=often").code == 0
    assert cli(*slow, "checkpoint_every=0", "steps=8", "name=once").code == 0
    assert len(checkpoint.list_checkpoints(Path("outputs/often/checkpoints"))) > 2
    (only,) = checkpoint.list_checkpoints(Path("outputs/once/checkpoints"))
    assert_equal(
        checkpoint.read(Path("outputs/often/checkpoints") / only.name)["session"],
        checkpoint.read(only)["session"],
    )


# --- divergence -------------------------------------------------------------------------------


class Breaks(Turn):
    """A turn whose loss, or gradient, is not finite from its `at`-th call on."""

    def __init__(self, game: Any, player: Any, *, at: int, gradient: bool = False) -> None:
        super().__init__(game, player)
        self.at, self.gradient, self.calls = at, gradient, 0

    def forward(self, batch: Any) -> tuple[torch.Tensor, Scalars]:
        self.calls += 1
        loss, scalars = super().forward(batch)
        if self.calls < self.at:
            return loss, scalars
        if self.gradient:
            return loss + (loss - loss.detach()).abs().sqrt(), scalars  # slope inf * 0 at 0
        loss = loss * math.inf
        return loss, scalars | {f"loss/{self.player}": loss.detach()}


@pytest.mark.parametrize(("on_device", "fused"), [(False, False), (False, True), (True, True)])
def test_nothing_moves_after_a_loss_that_is_not_finite(on_device: bool, fused: bool) -> None:
    s = session()
    if fused:
        for player, side in (("d", s.game.discriminators), ("g", s.game.generators)):
            s.optimizers[player] = torch.optim.Adam(side.parameters(), lr=0.01, fused=True)  # type: ignore[index]
    guard = FiniteGuard(CPU, on_device=on_device)
    turns = {"d": Turn(s.game, "d"), "g": Breaks(s.game, "g", at=3)}
    sides = {"d": s.game.generators, "g": s.game.discriminators}
    frozen_at: dict[str, dict[str, torch.Tensor]] = {}
    for step in range(1, 6):
        for player in ("d", "g"):
            if (step, player) == (3, "g"):
                frozen_at = {key: snapshot(side) for key, side in sides.items()}
            batch = next(s.batches)
            assert isinstance(batch, Batch)
            play(
                turns[player], s.optimizers[player],  # type: ignore[index]
                batch=batch, move=Move(), log_due=False, guard=guard, step=step,
            )  # fmt: skip
    assert all(same(side, frozen_at[key]) for key, side in sides.items())
    first = guard.first()
    assert isinstance(first, NonFiniteMove)
    assert (first.player, first.step) == ("g", 3)
    assert not math.isfinite(first.scalars["loss/g"])
    with pytest.raises(DivergedError, match=r"step 3, in G's move: loss/g=(inf|-inf|nan)"):
        guard.require_finite(s.game)


def test_the_first_step_that_broke_is_known_exactly_however_late() -> None:
    guard = FiniteGuard(CPU, on_device=True)
    late = 2**40 + 1
    guard.check("d", late, torch.tensor(1.0), {"loss/d": torch.tensor(1.0)})
    guard.check("g", late, torch.tensor(math.inf), {"loss/g": torch.tensor(math.inf)})
    guard.check("d", late + 1, torch.tensor(math.nan), {"loss/d": torch.tensor(math.nan)})
    first = guard.first()
    assert first == NonFiniteMove("g", late, {"loss/g": math.inf})


@pytest.mark.parametrize("way", ["signal", "time"])
def test_no_way_out_of_the_loop_hides_divergence(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from gan_cli.system.stopping import StopRequest
    from gan_cli.training import loop
    from tests.test_loop import Notes

    monkeypatch.setattr(loop, "FiniteGuard", lambda device: FiniteGuard(device, on_device=True))
    s, stop, notes = session(), StopRequest(), Notes()

    def advance(step: int) -> None:
        if step == 4:
            stop.signal_number = 15

    notes.advance = advance  # type: ignore[method-assign]
    minutes = 0.001 if way == "time" else None
    if way == "time":
        notes.advance = lambda step: time.sleep(0.03)  # type: ignore[method-assign]
    with pytest.raises(DivergedError, match="step 2, in G's move"):
        loop.train(
            s, {"d": Turn(s.game, "d"), "g": Breaks(s.game, "g", at=2)}, notes, stop,
            k=1, steps=100, max_minutes=minutes,
            cadence=loop.Cadence(log=1000, sample=0, checkpoint=0), move=Move(),
        )  # fmt: skip
    assert notes.saves == []


def test_a_broken_gradient_is_named_as_the_cause() -> None:
    s = session()
    turns = {"d": Breaks(s.game, "d", at=2, gradient=True), "g": Turn(s.game, "g")}
    from gan_cli.system.stopping import StopRequest
    from gan_cli.training.loop import Cadence, train
    from tests.test_loop import Notes

    notes = Notes()
    with pytest.raises(DivergedError, match=r"step 2, in G's move.*D's weights were not finite"):
        train(
            s, turns, notes, StopRequest(), k=1, steps=9, max_minutes=None,  # type: ignore[arg-type]
            cadence=Cadence(log=1, sample=1, checkpoint=1), move=Move(),
        )  # fmt: skip
    assert notes.saves == [1]
    assert notes.samples == [1]


def test_a_diverged_run_keeps_what_was_good_and_says_what_to_try(cli: Cli) -> None:
    steep = [s for s in SETTINGS if not s.startswith("schedule")]
    steep += ["optimizer.lr=1e30", "name=steep"]
    result = cli(*steep, "steps=30")
    assert result.code == 3
    assert "training diverged at step" in result.err
    assert "optimizer.lr=0.001" in result.err
    assert "max_grad_norm=1" in result.err
    kept = checkpoint.list_checkpoints(Path("outputs/steep/checkpoints"))
    for path in kept:
        weights = checkpoint.tensors_in(checkpoint.read(path)["session"]["game"])
        assert all(torch.isfinite(w).all() for w in weights)
    assert all(map(math.isfinite, _numbers(Path("outputs/steep/metrics.jsonl"))))


def _numbers(file: Path) -> list[float]:
    return [value for line in file.read_text().splitlines() for value in json.loads(line).values()]


def test_weights_that_are_not_finite_are_never_saved(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gradient breaks in the very last move, with no loss after it to show it."""
    moves = 0

    def break_last(self: GAN, batch: Batch) -> tuple[torch.Tensor, Scalars]:
        nonlocal moves
        moves += 1
        loss, scalars = whole(self, batch)
        return (loss if moves < 14 else loss + (loss - loss.detach()).abs().sqrt()), scalars

    whole = GAN.g_loss
    monkeypatch.setattr(GAN, "g_loss", break_last)
    result = cli(*SETTINGS, "steps=14", "name=last")
    assert result.code == 3
    assert "is not finite at step 14" in result.err
    newest = checkpoint.list_checkpoints(Path("outputs/last/checkpoints"))[0]
    assert newest.name == "step_00000010.pt"
    assert "init_from=outputs/last" in result.err
