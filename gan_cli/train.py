"""gan-train: from a composed config to a run directory with pictures, curves and checkpoints."""

from __future__ import annotations

import contextlib
import os
import shlex
from contextlib import AbstractContextManager
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import yaml
from rich.console import Console
from rich.text import Text

from gan_cli import checkpoint, environment, resume, rundir
from gan_cli.build import build_session, foreign_targets, load_data
from gan_cli.check import check
from gan_cli.cli import is_out_of_memory
from gan_cli.config import RESUMABLE
from gan_cli.data.base import Dataset
from gan_cli.data.batches import StreamedBatches
from gan_cli.device import resolve_device
from gan_cli.errors import DivergedError, GanTrainError, UserError
from gan_cli.loop import Cadence, Player, Session, Turn, train
from gan_cli.pictures import draw
from gan_cli.resume import Config, Start
from gan_cli.runlog import LoadingBar, RunLog, system_scalars
from gan_cli.shell import command, program
from gan_cli.stopping import StopRequest

HEADLINE_METRICS = ("loss/d", "loss/g", "prob/real", "prob/fake", "divergence/jsd_bound")
NOT_SETTINGS = ("model.steps.", "model.presets.", "model.name", "data.name", "data.kind")
REFERENCE_POINTS = 4096  # real points plotted beside generated ones


class Recorder:
    """What the loop reports to: log, pictures and checkpoints of one run directory."""

    def __init__(self, log: RunLog, session: Session, dataset: Dataset, config: Config) -> None:
        self.runlog, self.session, self.dataset, self.config = log, session, dataset, config
        self.environment: dict[str, str] = {}
        self.saved_step: int | None = None
        self._in_hparams = session.step > 0
        values = dataset.values
        #: Real points to plot beside generated ones; empty for images.
        self.real = (
            values[:REFERENCE_POINTS] if isinstance(values, torch.Tensor) else torch.empty(0)
        )

    def advance(self, step: int) -> None:
        """Move the progress bar."""
        self.runlog.advance(step)

    def log(self, step: int, scalars: dict[str, float]) -> None:
        """Write one line of numbers."""
        if not self._in_hparams:
            self._in_hparams = True
            metrics = [key for key in HEADLINE_METRICS if key in scalars]
            self.runlog.hparams(tensorboard_settings(self.config), metrics)
        self.runlog.scalars(step, scalars | system_scalars(self.session.device))

    def sample(self, step: int) -> None:
        """Write the preview picture of `step`."""
        self.runlog.picture(step, self.picture())

    def picture(self) -> Any:
        """The preview, drawn."""
        return draw(self.session.game.preview(), self.dataset.spec, real=self.real)

    def save(self, step: int) -> None:
        """Write a checkpoint, unless the weights are not finite."""
        weights = self.session.game.state_dict()
        for name, value in weights.items():
            if isinstance(value, torch.Tensor) and not torch.isfinite(value).all():
                raise DivergedError(
                    f"training diverged: {name} is not finite at step {step}. The last good "
                    "checkpoint is kept; try a smaller optimizer.lr."
                )
        self.runlog.flush()
        folder = self.runlog.directory / checkpoint.FOLDER
        state = {
            "step": step,
            "config": self.config,
            "spec": asdict(self.dataset.spec),
            "environment": self.environment,
            "session": self.session.state_dict(),
        }
        keep = {"keep_last": self.config["keep_last"], "keep_every": self.config["keep_every"]}
        checkpoint.save(folder, state, **keep)
        self.saved_step = step


def run(config: Config, given: list[str]) -> int:
    """Train as configured.

    Args:
        config: resolved, plain containers.
        given: the keys that the command line names.

    Returns:
        The exit code: 0, or 128 + signal.

    Raises:
        GanTrainError: anything expected that ends a run; says what and what would work.
    """
    start = resume.plan(config, given)
    trusted = start.from_user or start.config["trust_checkpoint"]
    notes = start.messages + check(start.config, trusted=trusted)
    if finished(start):
        return 0
    config = start.config
    device = resolve_device(config["device"])
    set_up_torch(config, device)
    try:
        dataset = load_data(config, progress=LoadingBar())
        notes += dataset.notes
        session = build_session(config, dataset, device)
        if start.state is not None:
            session.load_state_dict(start.state["session"])
        elif config["init_from"] is not None:
            notes.append(initialise(session, Path(config["init_from"])))
        if config["dry_run"]:
            describe(config, session, dataset)
            return 0
        return train_in(start, session, dataset, notes)
    except (RuntimeError, MemoryError) as error:
        raise explain_memory(error, config) from error


def train_in(start: Start, session: Session, dataset: Dataset, notes: list[str]) -> int:
    """Claim or re-open the run directory, and train in it."""
    config = start.config
    directory = start.directory
    if directory is None:
        label = f"{config['model']['name']}-{config['data']['name']}"
        directory = rundir.claim(Path(config["output_dir"]), name=config["name"], label=label)
        config["name"] = str(directory.relative_to(config["output_dir"]))
    config["resume"] = None
    with rundir.lock(directory):
        write_config(directory, config)
        log = RunLog(directory, step=session.step, steps=config["steps"])
        if isinstance(session.batches, StreamedBatches):
            session.batches.on_unusable = lambda text: log.say(f"note: {text}")
        recorder = Recorder(log, session, dataset, config)
        recorder.environment = environment.describe(
            session.device, threads=config["threads"], data=dataset.fingerprint()
        )
        try:
            return train_and_report(start, recorder, notes)
        finally:
            log.close()


def train_and_report(start: Start, recorder: Recorder, notes: list[str]) -> int:
    """Say what starts, train, save, and say how it ended and how to go on."""
    config, session, log = start.config, recorder.session, recorder.runlog
    introduce(start, recorder, notes)
    if session.step == 0:
        recorder.sample(0)
    turns: dict[Player, Turn] = {"d": Turn(session.game, "d"), "g": Turn(session.game, "g")}
    if config["compile"]:
        for turn in turns.values():
            turn.compile()
    with StopRequest() as stop:
        with log:
            reason = train(
                session,
                turns,
                recorder,
                stop,
                k=config["k"],
                steps=config["steps"],
                max_minutes=config["max_minutes"],
                cadence=Cadence(
                    log=config["log_every"],
                    sample=config["sample_every"],
                    checkpoint=config["checkpoint_every"],
                ),
                autocast=autocast(config, session.device),
            )
        if recorder.saved_step != session.step:
            save_at_end(recorder)
        picture = log.final_picture(recorder.picture())
    endings = {
        "done": "done",
        "time": f"stopped after max_minutes={config['max_minutes']}",
        "signal": f"stopped by {stop.name}",
    }
    log.table(f"step {session.step}")
    seconds = timedelta(seconds=round(session.elapsed()))
    log.say(f"{endings[reason]}: {session.step} steps in {seconds}, all saved.")
    log.say(what_next(config, log.directory, picture, session.step))
    return stop.exit_code if reason == "signal" else 0


def finished(start: Start) -> bool:
    """Whether there is nothing left to do; says so, and how to extend."""
    config, state = start.config, start.state
    if state is None or state["step"] < config["steps"] or start.directory is None:
        return False
    longer = command("gan-train", resume=start.directory, steps=2 * state["step"])
    print_lines(
        f"{start.directory}: finished, {state['step']} of steps={config['steps']} are done.\n"
        f"  to go on: {longer}"
    )
    return True


def set_up_torch(config: Config, device: torch.device) -> None:
    """Threads, precision and determinism, as configured; the thread count is made part of it."""
    if config["threads"] is None:
        config["threads"] = environment.default_threads()
    torch.set_num_threads(config["threads"])
    tf32 = config["precision"] == "tf32"
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    torch.backends.cudnn.allow_tf32 = tf32
    if device.type == "cuda":
        torch.cuda.set_device(device)
        if config["deterministic"]:
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(config["deterministic"])


def autocast(config: Config, device: torch.device) -> AbstractContextManager[Any]:
    """The forward pass's precision."""
    if config["precision"] == "bf16":
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return contextlib.nullcontext()


def initialise(session: Session, source: Path) -> str:
    """Take the weights of another run; everything else starts afresh."""
    path, state = rundir.read_checkpoint(source, key="init_from")
    weights = {
        key: value
        for key, value in state["session"]["game"].items()
        if key in dict(session.game.named_parameters()) or key.split(".")[-1].startswith("running_")
    }
    own = dict(session.game.named_parameters())
    different = [
        f"{key}: {tuple(weights[key].shape) if key in weights else 'missing'} there, "
        f"{tuple(value.shape)} here"
        for key, value in own.items()
        if key not in weights or weights[key].shape != value.shape
    ]
    if different:
        raise UserError(
            f"init_from={source}: its networks are not those of this config:\n  "
            + "\n  ".join(different[:6])
        )
    session.game.load_state_dict(weights, strict=False)
    return f"weights from {path}, step {state['step']}; everything else starts afresh."


def save_at_end(recorder: Recorder) -> None:
    """The last checkpoint, on which all that was done since the one before depends."""
    try:
        recorder.save(recorder.session.step)
    except OSError as error:
        raise GanTrainError(
            f"{recorder.runlog.directory}: the last checkpoint could not be written ({error}). "
            "Older ones are kept; make room, then resume."
        ) from error


def write_config(directory: Path, config: Config) -> None:
    """Write config.yaml, whole or not at all."""
    path = directory / rundir.CONFIG
    temporary = path.with_suffix(".tmp")
    temporary.write_text(yaml.safe_dump(config, sort_keys=False, allow_unicode=True), "utf-8")
    temporary.replace(path)


def introduce(start: Start, recorder: Recorder, notes: list[str]) -> None:
    """Say what is about to happen, and what changed since the checkpoint."""
    config, log, now = start.config, recorder.runlog, recorder.environment
    model, data = config["model"]["name"], config["data"]["name"]
    log.say(
        f"{model} on {data}: {len(recorder.dataset):,} data of "
        f"{'x'.join(map(str, recorder.dataset.spec.shape))}, m={config['data']['batch_size']}, "
        f"k={config['k']}, {config['steps']} steps on {now['device']} "
        f"({config['threads']} threads) in {log.directory}"
    )
    for text in notes:
        log.say(f"note: {text}")
    if start.state is not None:
        log.say(f"resumed at step {recorder.session.step}")
        for change in environment.changes(start.state["environment"], now):
            log.say(f"note: {change}; from here on the run may differ from an unbroken one.")
    log.note("  ".join(f"{key}: {value}" for key, value in now.items()))


def what_next(config: Config, directory: Path, picture: Path, step: int) -> str:
    """The commands a person may want now, ready to be pasted."""
    trust = {"trust_checkpoint": True} if foreign_targets(config) else {}
    logs = shlex.quote(str(directory))
    return "\n".join(
        [
            f"  pictures  {picture.parent}/  (the newest: {picture.name})",
            f"  curves    {program('tensorboard')} --logdir {logs}",
            f"  go on     {command('gan-train', resume=directory, steps=2 * step or 1, **trust)}",
            f"  sample    {command('gan-sample', run=directory, **trust)}",
        ]
    )


def tensorboard_settings(config: Config) -> dict[str, object]:
    """What was trained as TensorBoard's HPARAMS tab takes it: flat, of numbers, flags and text."""
    skipped = RESUMABLE | resume.STARTING | {"name", "output_dir", "init_from"}
    flat = {
        key: value
        for key, value in resume.flatten(config).items()
        if key not in skipped and value is not None and not key.startswith(NOT_SETTINGS)
    }
    return {
        # The class is what tells the options of a group apart.
        key.removesuffix("._target_"): value
        if isinstance(value, bool | int | float)
        else str(value).rpartition(".")[2]
        if key.endswith("._target_")
        else str(value)
        for key, value in flat.items()
    }


def describe(config: Config, session: Session, dataset: Dataset) -> None:
    """What dry_run=true shows: networks and sizes."""
    game = session.game
    sizes = {
        side: sum(p.numel() for p in part.parameters())
        for side, part in (("D", game.discriminators), ("G", game.generators))
    }
    print_lines(
        f"{game}\n"
        f"data: {len(dataset):,} of shape {dataset.spec.shape}, range {dataset.spec.value_range}, "
        f"{dataset.spec.classes} classes\n"
        f"parameters: D {sizes['D']:,}, G {sizes['G']:,}\n"
        f"steps={config['steps']} on {session.device}\n"
        "dry_run=true: nothing was trained or written."
    )


def print_lines(text: str) -> None:
    """Print outside a run, unwrapped."""
    Console(highlight=False).print(Text(text), soft_wrap=True)


def explain_memory(error: Exception, config: Config) -> Exception:
    """Out of memory as one message that names what to make smaller; other errors unchanged."""
    if not is_out_of_memory(error):
        return error
    size = config["data"].get("image_size")
    image = f", data.image_size={size}" if size is not None else ""
    return GanTrainError(
        f"out of memory on device={config['device']} with "
        f"data.batch_size={config['data']['batch_size']}{image}, k={config['k']}. "
        "Make the first smaller, or the image or the networks (k costs time, not memory)."
    )


if __name__ == "__main__":
    from gan_cli.commands import train as main

    main()
