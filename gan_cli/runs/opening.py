"""Opens a run to train in: its directory, and the recorder of each process."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gan_cli.data.base import AnyDataset
from gan_cli.errors import UserError
from gan_cli.evaluation.in_training import Evaluation
from gan_cli.runs import checkpoint
from gan_cli.runs.best import Best, best_before
from gan_cli.runs.directory import claim, lock, require_writable, write_config
from gan_cli.runs.log import NoLog, RunLog
from gan_cli.runs.patience import Patience, counted_from, patience_in
from gan_cli.runs.previews import Previews
from gan_cli.runs.recorder import Recorder
from gan_cli.runs.records import read_lines
from gan_cli.runs.restart import mark_of
from gan_cli.runs.resume import Config, Enter, Start
from gan_cli.runs.saver import NoSaver, Saver
from gan_cli.runs.summary import introduction, repetition, tensorboard_settings
from gan_cli.settings.trust import resume_flags
from gan_cli.system.files import remove_leftovers
from gan_cli.system.ranks import Ranks
from gan_cli.training.health import Health
from gan_cli.training.held_out import HeldOut, held_out_of
from gan_cli.training.state import TrainState


def open_directory(start: Start, ranks: Ranks, enter: Enter) -> tuple[Path, Config]:
    """The run's directory, locked and writable, and the config as it is stored there.

    Args:
        start: what to train; without a directory, a new one is claimed.
        ranks: the processes that train together.
        enter: takes the lock of a new directory.

    Raises:
        UserError: its name is taken, or it cannot be written.
    """
    directory, config = start.directory, start.config
    if directory is None:
        label = f"{config['model']['name']}-{config['data']['name']}"
        output_dir = Path(config["output_dir"])
        flags = resume_flags(config)
        directory = claim(output_dir, name=config["name"], label=label, flags=flags)
        config = {**config, "name": str(directory.relative_to(output_dir))}
        enter(lock(directory))
    config = {**config, "resume": None}
    remove_leftovers(directory)
    try:
        if not ranks.alone:
            mark_of(config).write_text(str(directory), encoding="utf-8")
        write_config(directory, config)
        require_writable(directory / checkpoint.FOLDER)
    except OSError as error:
        where = error.filename or directory
        raise UserError(f"{where}: cannot be written ({error.strerror}).") from error
    return directory, config


def open_recorder(
    config: Config,
    state: TrainState,
    dataset: AnyDataset,
    *,
    log: RunLog,
    environment: dict[str, str],
    evaluation: Evaluation | None,
    before: Mapping[str, Any] | None = None,
) -> Recorder:
    """The recorder of rank 0, with what earlier sessions of the run have left.

    Args:
        config: of the run.
        state: of training.
        dataset: of the run.
        log: where lines and pictures go, which ends at the step of `state`.
        environment: versions and machine.
        evaluation: measures the model; None: nothing does.
        before: the checkpoint that the run goes on from; None: there is none.
    """
    folder = log.directory / checkpoint.FOLDER
    health = Health()
    health.replay(read_lines(log.directory))
    best = Best(config["objective"], config["direction"])
    if config["eval_every"] and best.objective:
        best.value, note = best_before(folder, best.objective, best.direction)
        if note:
            log.say(note)
    recorder = Recorder(
        state,
        config,
        log=log,
        saver=Saver(folder),
        spec=dataset.spec,
        environment=environment,
        previews=Previews(state.game, dataset),
        evaluation=evaluation,
        best=best,
        health=health,
        hparams=tensorboard_settings(config),
    )
    recorder.patience = count_so_far(config, before, log.directory)
    recorder.held_out = look_at_held_out(config, state, dataset)
    return recorder


def count_so_far(config: Config, before: Mapping[str, Any] | None, run: Path) -> Patience:
    """What was counted up to a checkpoint: it says so itself, or else metrics.jsonl does."""
    return patience_in(before, config) or counted_from(read_lines(run), config)


def introduce(start: Start, recorder: Recorder, dataset: AnyDataset, now: dict[str, str]) -> None:
    """Say what is about to happen, and what is worth a note."""
    log = recorder.runlog
    for line in introduction(start, recorder.state, dataset, now, log.directory):
        log.say(line)
    for note in (*start.messages, *repetition(recorder.config, dataset)):
        log.say(f"note: {note}")
    log.note("  ".join(f"{key}: {value}" for key, value in now.items()))


def look_at_held_out(config: Config, state: TrainState, dataset: AnyDataset) -> HeldOut | None:
    """D on what `data.validation` holds out; all processes look at the same."""
    n = config["data"]["batch_size"]
    return held_out_of(state.game, dataset, n=n, seed=config["seed"])


def silent_recorder(config: Config, state: TrainState, dataset: AnyDataset) -> Recorder:
    """The recorder of another process: it takes part in all exchanges, and writes nothing."""
    recorder = Recorder(
        state,
        config,
        log=NoLog(step=state.step, steps=config["steps"]),
        saver=NoSaver(Path()),
        spec=dataset.spec,
        environment={},
        previews=None,
        evaluation=None,
        best=Best(config["objective"], config["direction"]),
    )
    recorder.held_out = look_at_held_out(config, state, dataset)
    return recorder
