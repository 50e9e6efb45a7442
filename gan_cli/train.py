"""gan-train: from a composed config to a run directory with pictures, curves and checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace

from gan_cli.data.base import AnyDataset, ShardDataset
from gan_cli.data.files.lost import LostDataError, dead_worker, is_dead_worker
from gan_cli.errors import DivergedError, GanTrainError, SettingsError, UserError, is_out_of_memory
from gan_cli.evaluation.in_training import Evaluation, evaluation_of
from gan_cli.evaluation.objective import objective_problems
from gan_cli.page.leave import leave_run_page
from gan_cli.runs import checkpoint, summary
from gan_cli.runs.log import RunLog
from gan_cli.runs.opening import introduce, open_directory, open_recorder, silent_recorder
from gan_cli.runs.recorder import Recorder
from gan_cli.runs.restart import find_restart, mark_of
from gan_cli.runs.restore import as_it_was_seen, restore
from gan_cli.runs.resume import Config, Start, find_start
from gan_cli.runs.watching import watcher
from gan_cli.settings.build import build_state, load_data
from gan_cli.settings.check import check
from gan_cli.settings.objectives import with_evaluations
from gan_cli.settings.trial import try_users_networks
from gan_cli.settings.trust import load_without_download, without_download
from gan_cli.system import environment
from gan_cli.system.device import resolve_device
from gan_cli.system.precision import autocast, set_up_torch
from gan_cli.system.progress import LoadingBar
from gan_cli.system.ranks import (
    Ranks,
    from_environment,
    is_loss_of_another,
    meet,
    part,
    restarts,
)
from gan_cli.system.stopping import StopRequest
from gan_cli.system.terminal import Terminal
from gan_cli.training.finite import Player
from gan_cli.training.loop import Cadence, Reason, train
from gan_cli.training.state import TrainState
from gan_cli.training.turn import Move, Turn


def run(config: Config, from_command_line: Sequence[str]) -> int:
    """Train as configured; under torchrun, together with the other processes.

    Args:
        config: resolved, plain containers.
        from_command_line: the keys that the command line names.

    Returns:
        The exit code: 0, or 128 + signal.

    Raises:
        GanTrainError: anything expected that ends a run; says what and what would work.
    """
    ranks = from_environment()
    with ExitStack() as stack:
        try:
            join_others(config, ranks)
            stack.callback(part)
            start = ranks.from_first(
                lambda: checked_start(config, from_command_line, ranks=ranks, stack=stack)
            )
            if not start.is_finished or start.lacks_its_last_picture:
                return train_from(start, ranks, stack)
            if ranks.is_first and start.directory is not None:
                watcher().opened(start.directory)
                Terminal().say(summary.nothing_left(start))
            return 0
        except (RuntimeError, MemoryError) as error:
            if is_out_of_memory(error):
                raise GanTrainError(summary.out_of_memory(config)) from error
            if is_dead_worker(error):
                raise GanTrainError(dead_worker(error, remedy="data.workers=0")) from error
            if isinstance(error, RuntimeError) and is_loss_of_another(error):
                reason = " ".join(str(error).split())[:200]
                raise GanTrainError(
                    f"rank {ranks.rank}: another process of this run is gone ({reason}). "
                    "torchrun --max-restarts=N continues from the newest checkpoint by itself."
                ) from error
            raise


def join_others(config: Config, ranks: Ranks) -> None:
    """Wait for the other processes, if any; the device decides how they exchange numbers.

    Raises:
        UserError: there is no such device.
    """
    if ranks.alone:
        return
    try:
        device = resolve_device(config["device"], local=ranks.local)
    except SettingsError as error:
        rejection = UserError(error.problems)
        rejection.is_reported = not ranks.is_first
        raise rejection from error
    meet(ranks, device)


def checked_start(
    config: Config, from_command_line: Sequence[str], *, ranks: Ranks, stack: ExitStack
) -> Start:
    """Where the run starts, its config complete and checked.

    Raises:
        UserError: there is no such start, or the config makes no sense.
    """
    config, evaluated = with_evaluations(config, from_command_line)
    find = find_restart if restarts() else find_start
    start = find(config, from_command_line, stack.enter_context)
    if start.from_user:
        start = replace(start, messages=(*start.messages, *evaluated))
    if start.config["threads"] is None:  # the count belongs to the run: it changes results
        threads = environment.default_threads()
        start = replace(start, config={**start.config, "threads": threads})
    start = start.with_data_found(from_command_line)
    trusted = start.from_user or start.config["trust_checkpoint"]
    config = start.located or start.config
    more = objective_problems(config, from_command_line)
    notes = check(
        config, trusted=trusted, from_command_line=from_command_line, world=ranks.world, more=more
    )
    may_download = trusted or "data.root" in from_command_line
    return replace(start, messages=(*start.messages, *notes), may_download=may_download)


def train_from(start: Start, ranks: Ranks, stack: ExitStack) -> int:
    """Load the data, build what trains, restore it, and train.

    Raises:
        GanTrainError: anything expected that ends a run.
    """
    config = start.located or start.config
    device = resolve_device(config["device"], local=ranks.local)
    set_up_torch(
        device,
        threads=config["threads"],
        precision=config["precision"],
        deterministic=config["deterministic"],
    )
    dataset = load_in_turn(start, ranks)
    messages = [*start.messages, *dataset.notes]
    state = build_state(config, dataset, device, ranks=ranks)
    try_users_networks(config, state.game)
    messages += restore(start, state)
    if not ranks.is_first:
        return 0 if config["dry_run"] else train_silently(config, state, dataset)
    reading = config if start.may_download else without_download(config)
    evaluation = evaluation_of(reading, state.game, dataset, LoadingBar())
    if evaluation is not None and isinstance(dataset, ShardDataset):
        messages += evaluation.reference.dataset.notes
    start = replace(start, messages=tuple(messages))
    if config["dry_run"]:
        Terminal().say(summary.dry_run(config, state, dataset, messages))
        return 0
    return train_in_directory(start, state, dataset, evaluation=evaluation, stack=stack)


def load_in_turn(start: Start, ranks: Ranks) -> AnyDataset:
    """Load the data: rank 0 first, which may have to fetch or decode them for all."""
    loaded: list[AnyDataset] = []

    def load() -> None:
        read = load_data if start.may_download else load_without_download
        data = read(start.located or start.config, progress=LoadingBar())
        loaded.append(as_it_was_seen(data, start))

    ranks.from_first(load)
    if not loaded:
        load()
    return loaded[0]


def train_silently(config: Config, state: TrainState, dataset: AnyDataset) -> int:
    """Train as a process other than the first, which writes and says nothing."""
    recorder = silent_recorder(config, state, dataset)
    try:
        return train_to_the_end(config, recorder)
    except DivergedError as error:
        error.is_reported = True  # by rank 0, which sees the same numbers
        raise


def train_in_directory(
    start: Start,
    state: TrainState,
    dataset: AnyDataset,
    *,
    evaluation: Evaluation | None,
    stack: ExitStack,
) -> int:
    """Claim a run directory, unless the run continues in its own, and train in it."""
    directory, config = open_directory(start, state.game.ranks, stack.enter_context)
    log = RunLog(directory, step=state.step, steps=config["steps"])
    state.batches.watch(lambda text: log.say(f"note: {text}"))
    now = environment.describe(
        state.device,
        threads=config["threads"],
        data=dataset.fingerprint(),
        processes=state.game.ranks.world,
        folder=start.folder,
    )
    recorder = open_recorder(
        config, state, dataset, log=log, environment=now, evaluation=evaluation, before=start.state
    )
    introduce(start, recorder, dataset, now)
    try:
        code = train_to_the_end(config, recorder)
        if not state.game.ranks.alone:
            mark_of(config).unlink(missing_ok=True)
        return code
    except DivergedError as error:
        recorder.poll_save(wait=True)
        kept = checkpoint.list_checkpoints(directory / checkpoint.FOLDER)
        advice = summary.after_divergence(config, directory, kept)
        log.note(f"ended: {error}")
        raise DivergedError(f"{error}\n{advice}") from error
    except BaseException as error:
        log.note(f"ended: {error or type(error).__name__}")
        raise
    finally:
        try:
            recorder.poll_save(wait=True)
        finally:
            log.close()
            if config["report"]:
                leave_run_page(directory)


def train_to_the_end(config: Config, recorder: Recorder) -> int:
    """Train, save, and report how it ended and which commands may follow."""
    state, log = recorder.state, recorder.runlog
    with StopRequest() as stop:
        recorder.stop = stop
        if state.step == 0:
            recorder.sample(0)
        with log:
            try:
                reason = run_loop(config, recorder, stop)
            except LostDataError as error:
                if config["k"] > 1 or config["g_moves"] > 1 or not state.game.ranks.alone:
                    raise  # a player has perhaps moved already, or others wait
                recorder.save_at_end()
                advice = f"Step {state.step} is saved in {log.directory}."
                raise type(error)(f"{error} {advice}") from error
        recorder.save_at_end()
        picture = recorder.final_picture()
    log.table()
    if picture is not None:
        log.say(summary.ending(config, recorder, reason, picture=picture, signal=stop.name))
    return stop.exit_code if reason == "signal" else 0


def run_loop(config: Config, recorder: Recorder, stop: StopRequest) -> Reason:
    """Run the loop as configured."""
    state = recorder.state
    turns: dict[Player, Turn] = {"d": Turn(state.game, "d"), "g": Turn(state.game, "g")}
    for turn in turns.values():
        if config["compile"]:
            turn.compile_for(state.device, micro_batches=config["accumulate"])
        turn.join(state.game.ranks)
    return train(
        state,
        turns,
        recorder,
        stop,
        k=config["k"],
        g_moves=config["g_moves"],
        steps=config["steps"],
        max_minutes=config["max_minutes"],
        cadence=Cadence(
            log=config["log_every"],
            sample=config["sample_every"],
            checkpoint=config["checkpoint_every"],
            checkpoint_minutes=config["checkpoint_minutes"],
            evaluate=config["eval_every"],
        ),
        move=Move(
            autocast=autocast(state.device, precision=config["precision"]),
            micro_batches=config["accumulate"],
            max_grad_norm=config["max_grad_norm"],
        ),
    )


if __name__ == "__main__":
    from gan_cli.cli.commands import train as main

    main()
