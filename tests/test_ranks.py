"""Several processes train what one would: torchrun with gloo on the CPU."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, distributed

from gan_cli.errors import UserError
from gan_cli.networks.sync import JointBatchNorm
from gan_cli.runs import checkpoint
from gan_cli.settings.build import build_state, load_data
from gan_cli.system.ranks import ALONE, Ranks, from_environment
from gan_cli.training.finite import FiniteGuard
from gan_cli.training.loop import one_step
from gan_cli.training.state import TrainState
from gan_cli.training.turn import Move, Turn
from tests.conftest import Cli, free_port
from tests.processes import in_processes
from tests.test_config import composed

CPU = torch.device("cpu")
SMALL = ("data=digits", "data.batch_size=12", "performance=plain")
#: One of each game, with everything that draws random numbers but dropout.
GAMES = {
    "vanilla": (
        "model.discriminator.dropout=0", "model.discriminator.dropout_input=0",
        "regularizer=[gradient_penalty,instance_noise]", "k=2", "g_moves=2", "accumulate=2",
    ),
    "dcgan": (
        "model=dcgan", "model.width=4", "data.image_size=12", "sync_batch_norm=true",
        "regularizer=diffaugment", "max_grad_norm=0.5", "ema.decay=0.5",
    ),
    "cgan": (
        "model=cgan", "model.width=4", "data.image_size=12", "sync_batch_norm=true",
    ),
    "cyclegan": (
        "model=cyclegan", "data=digit_domains", "data.image_size=8", "model.width=4",
        "model.generator.blocks=1", "model.discriminator.layers=1", "model.pool_size=0",
    ),
}  # fmt: skip


def train(overrides: tuple[str, ...], ranks: Ranks, *, steps: int) -> TrainState:
    """Some steps in float64."""
    config = composed(*SMALL, *overrides)
    dataset = load_data(config)
    session = build_state(config, dataset, CPU, ranks=ranks)
    session.game.double()
    turns: dict[Any, Turn] = {"d": Turn(session.game, "d"), "g": Turn(session.game, "g")}
    for turn in turns.values():
        turn.join(ranks)
    batches = session.batches
    session.batches = map(double, batches)  # type: ignore[assignment]
    move = Move(micro_batches=config["accumulate"], max_grad_norm=config["max_grad_norm"])
    for _ in range(steps):
        one_step(
            session, turns, k=config["k"], g_moves=config["g_moves"], move=move, log_due=True,
            guard=FiniteGuard(CPU),
        )  # fmt: skip
    session.batches = batches
    return session


def double(batch: Any) -> Any:
    """A batch in float64."""
    for name in batch.__slots__:
        value = getattr(batch, name)
        if isinstance(value, Tensor) and value.is_floating_point():
            object.__setattr__(batch, name, value.double())
    return batch


def weights_of(session: TrainState) -> dict[str, Tensor]:
    return {key: value.detach() for key, value in session.game.named_parameters()}


def in_double(overrides: tuple[str, ...]) -> TrainState:
    torch.set_default_dtype(torch.float64)
    try:
        return train(overrides, ALONE, steps=2)
    finally:
        torch.set_default_dtype(torch.float32)


def work(rank: int, port: int, folder: str) -> None:
    """One of two processes: trains each game, and leaves its weights."""
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    distributed.init_process_group("gloo", rank=rank, world_size=2)
    for name, overrides in GAMES.items():
        session = train(overrides, Ranks(rank, 2, rank), steps=2)
        torch.save(weights_of(session), Path(folder) / f"{name}-{rank}.pt")
    torch.save(normalised(JointBatchNorm(3), whole_batch().chunk(2)[rank]),
               Path(folder) / f"norm-{rank}.pt")  # fmt: skip
    distributed.barrier()
    os._exit(0)  # all is written, and gloo's threads may abort while the interpreter ends


def whole_batch() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(6, 3, 4, 4, generator=generator, dtype=torch.float64)


def normalised(norm: torch.nn.modules.batchnorm._BatchNorm, x: Tensor) -> dict[str, Tensor]:
    """Outputs, gradients and running averages of a batch norm on x."""
    x = x.clone().requires_grad_()
    y = norm(x)
    (y.square() * torch.arange(1.0, 5.0)).sum().backward()
    assert x.grad is not None
    assert norm.weight.grad is not None
    assert norm.running_mean is not None
    assert norm.running_var is not None
    return {"y": y.detach(), "x": x.grad, "weight": norm.weight.grad,
            "mean": norm.running_mean, "var": norm.running_var}  # fmt: skip


@pytest.mark.xdist_group("processes")
def test_two_processes_do_what_one_does(tmp_path: Path) -> None:
    """In float64: equal weights on both ranks, and those of one process on the joint batch."""
    torch.set_num_threads(1)
    in_processes(work, free_port(), str(tmp_path))
    for name, overrides in GAMES.items():
        first, second = (torch.load(tmp_path / f"{name}-{rank}.pt") for rank in range(2))
        if "accumulate=2" in overrides:  # parts pair data with other noises than the whole does
            assert all(torch.equal(first[key], second[key]) for key in first)
            continue
        alone = weights_of(in_double(overrides))
        for key, value in alone.items():
            assert torch.equal(first[key], second[key]), f"{name}: {key}"
            limit = 1e-9 * max(1.0, value.abs().max().item())
            assert (first[key] - value).abs().max() <= limit, f"{name}: {key}"
    parts = [torch.load(tmp_path / f"norm-{rank}.pt") for rank in range(2)]
    whole = normalised(torch.nn.BatchNorm2d(3).double(), whole_batch())
    for key in ("y", "x"):
        assert (torch.cat([part[key] for part in parts]) - whole[key]).abs().max() < 1e-12
    assert (parts[0]["weight"] + parts[1]["weight"] - whole["weight"]).abs().max() < 1e-12
    for part in parts:
        assert (part["mean"] - whole["mean"]).abs().max() < 1e-12
        assert (part["var"] - whole["var"]).abs().max() < 1e-12


def test_shares_are_disjoint_and_together_the_whole() -> None:
    config = composed(*SMALL)
    dataset = load_data(config)
    whole = next(build_state(config, dataset, CPU).batches)
    parts = [
        next(build_state(config, dataset, CPU, ranks=Ranks(rank, 3)).batches) for rank in range(3)
    ]
    joined = torch.cat([part.x for part in parts])  # type: ignore[union-attr]
    assert torch.equal(joined, whole.x)  # type: ignore[union-attr]


def test_the_environment_tells() -> None:
    assert from_environment({}) == ALONE
    place = {"MASTER_ADDR": "here", "MASTER_PORT": "1"}
    told = from_environment(place | {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1"})
    assert (told.rank, told.world, told.local, told.is_first) == (3, 4, 1, False)
    with pytest.raises(UserError, match="without MASTER_ADDR and MASTER_PORT"):
        from_environment({"WORLD_SIZE": "2"})
    with pytest.raises(UserError, match="RANK=x"):
        from_environment({"RANK": "x"})


def torchrun(*arguments: str, more: tuple[str, ...] = ()) -> list[str]:
    return [
        sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2",
        f"--master-port={free_port()}", *more, "-m", "gan_cli.train", *arguments,
    ]  # fmt: skip


def run(*arguments: str, cwd: Path, more: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        torchrun(*arguments, more=more), cwd=cwd, check=False, capture_output=True, text=True,
        timeout=120, env=os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)},
    )  # fmt: skip


TOGETHER = (
    "data=digits", "data.batch_size=16", "log_every=2", "sample_every=4", "checkpoint_every=4",
    "checkpoint_minutes=null", "eval_every=4", "eval_metrics=diversity",
    "objective=eval/diversity_fake", "direction=maximize",
)  # fmt: skip


def records(run: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    machine = re.compile("time|images_per_s|system/")
    return [{k: v for k, v in line.items() if not machine.match(k)} for line in lines]


@pytest.mark.slow
def test_resuming_with_as_many_is_exact_and_with_others_is_said(cli: Cli, tmp_path: Path) -> None:
    whole = run(*TOGETHER, "steps=8", "name=whole", cwd=tmp_path)
    assert whole.returncode == 0, whole.stderr
    assert whole.stdout.count("done: 8 of 8 steps") == 1  # rank 0 speaks alone
    assert "2 processes" in whole.stdout
    assert run(*TOGETHER, "steps=4", "name=parts", cwd=tmp_path).returncode == 0
    resumed = run("resume=outputs/parts", "steps=8", cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    outputs = tmp_path / "outputs"
    assert records(outputs / "parts") == records(outputs / "whole")
    a, b = (
        checkpoint.read(outputs / name / "checkpoints/step_00000008.pt")["session"]
        for name in ("whole", "parts")
    )
    for key, value in a["game"].items():
        if isinstance(value, Tensor):
            assert torch.equal(value, b["game"][key]), key
    streams = [own["streams"]["cpu"] for own in a["ranks"]]
    assert not torch.equal(*streams), "dropout differs between ranks"
    for mine, theirs in zip(streams, b["ranks"], strict=True):
        assert torch.equal(mine, theirs["streams"]["cpu"])
    assert (outputs / "whole/checkpoints/best.pt").is_file()
    # One process goes on with the same data and noise, and says what differs.
    alone = cli("resume=outputs/whole", "steps=10")
    assert alone.code == 0, alone.err
    assert "processes was 2, is now 1" in alone.out


@pytest.mark.slow
def test_mistakes_are_told_once(tmp_path: Path) -> None:
    for arguments, message in (
        (("data=digits", "data.batch_size=15"), "data.batch_size=15: does not divide by 2"),
        (("resume=nowhere",), "resume=nowhere: no such run"),
        (("data=digits", "device=bogus"), "device=bogus: use auto, cpu"),
    ):
        done = run(*arguments, cwd=tmp_path)
        assert done.returncode != 0
        assert done.stderr.count(message) == 1
    assert not (tmp_path / "outputs").exists()


@pytest.mark.slow
def test_a_restarted_group_goes_on_by_itself(tmp_path: Path) -> None:
    """One worker is killed; torchrun starts all anew, and they resume the run they had begun."""
    arguments = ("data=digits", "data.batch_size=16", "steps=3000", "checkpoint_every=50",
                 "log_every=50", "sample_every=0")  # fmt: skip
    process = subprocess.Popen(
        torchrun(*arguments, more=("--max-restarts=1",)), cwd=tmp_path,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)},
    )  # fmt: skip
    folder = tmp_path / "outputs/vanilla-digits-1/checkpoints"
    deadline = time.monotonic() + 60
    while not list(folder.glob("step_*.pt")) and time.monotonic() < deadline:
        time.sleep(0.1)
    workers = subprocess.run(
        ["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=True
    ).stdout.split()
    os.kill(int(workers[-1]), signal.SIGKILL)
    out, _ = process.communicate(timeout=150)
    assert process.returncode == 0, out
    assert "resumed at step" in out
    assert "done: 3000 of 3000 steps" in out
    assert [path.name for path in (tmp_path / "outputs").iterdir() if path.is_dir()] == [
        "vanilla-digits-1"
    ]
