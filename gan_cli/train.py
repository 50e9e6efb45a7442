"""gan-train: from a composed config to a run directory with pictures, curves and checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from gan_cli.data.base import AnyDataset, Dataset, PairDataset, ShardDataset
from gan_cli.errors import DivergedError, GanTrainError, UserError, is_out_of_memory
from gan_cli.evaluation.registry import Evaluation, evaluation_of
from gan_cli.games.base import Preview
from gan_cli.networks.filters import first_filters
from gan_cli.pictures import Picture, draw, draw_filters
from gan_cli.runs import checkpoint, resume
from gan_cli.runs import directory as rundir
from gan_cli.runs import summary as report
from gan_cli.runs.log import (
    FILTERS,
    THEORY,
    LoadingBar,
    RunLog,
    read_metrics,
    system_scalars,
    without_machine,
)
from gan_cli.runs.resume import Config, Start
from gan_cli.settings.build import build_session, load_data
from gan_cli.settings.check import check
from gan_cli.settings.targets import foreign_targets
from gan_cli.spec import DataSpec
from gan_cli.system import environment
from gan_cli.system.device import resolve_device
from gan_cli.system.files import remove_leftovers
from gan_cli.system.precision import autocast, set_up_torch
from gan_cli.system.ranks import (
    Ranks,
    from_environment,
    group_name,
    is_loss_of_another,
    meet,
    part,
    restarts,
)
from gan_cli.system.stopping import StopRequest
from gan_cli.system.terminal import Terminal
from gan_cli.theory.pictures import animate
from gan_cli.training.health import Health, diversity
from gan_cli.training.loop import Cadence, Move, Observer, Player, Reason, Session, Turn, train

HEADLINE_METRICS = ("loss/d", "loss/g", "prob/real", "prob/fake", "divergence/jsd_bound")
BEST_BY = ("objective", "direction")  # what best.pt is the best by
REFERENCE_POINTS = 4096  # real points plotted beside generated ones
REFERENCE_IMAGES = 100  # real images whose diversity is held against the samples'


class Recorder:
    """What the loop reports to: log, pictures and checkpoints of one run directory."""

    def __init__(
        self,
        log: RunLog,
        session: Session,
        dataset: AnyDataset,
        config: Config,
        environment: dict[str, str],
        evaluation: Evaluation | None,
    ) -> None:
        self.runlog, self.session, self.dataset, self.config = log, session, dataset, config
        self.evaluation = evaluation
        self.ranks = session.game.ranks
        self.environment = environment
        self.saver = checkpoint.Saver(log.directory / checkpoint.FOLDER)
        self._unsaved = False  # whether the newest checkpoint could not be written
        self.health = Health()
        for line in read_metrics(log.directory):  # of the run's earlier sessions
            self.health.see(line)
        self.best = self.best_before()
        self._objective_looked_for = False
        self._in_hparams = False
        #: Real data to hold generated ones against: points are plotted, images compared.
        self.real = torch.empty(0)
        if not isinstance(dataset, PairDataset):
            points = not dataset.spec.is_image
            self.real = dataset.first(REFERENCE_POINTS if points else REFERENCE_IMAGES)

    def advance(self, step: int) -> None:
        """Move the progress bar."""
        self.runlog.advance(step)

    def log(self, step: int, scalars: dict[str, float]) -> None:
        """Write one line of numbers."""
        if not self._in_hparams:
            self._in_hparams = True
            wanted = dict.fromkeys((*HEADLINE_METRICS, self.config["objective"]))
            metrics = [key for key in wanted if key in scalars]
            self.runlog.hparams(report.tensorboard_settings(self.config), metrics)
        found, messages = self.health.see(scalars)
        self.runlog.scalars(step, scalars | found | system_scalars(self.session.device))
        for message in messages:
            self.runlog.finding(step, message)
        self.settle(wait=False)

    def sample(self, step: int) -> dict[str, float]:
        """Write the preview picture of `step`, and D's filters; how diverse the samples are."""
        preview = self.session.game.preview()
        self.runlog.picture(step, self.picture(preview))
        spec = self.dataset.spec
        filters = None
        if isinstance(spec, DataSpec):
            filters = first_filters(self.session.game.discriminators, spec)
        if filters is not None:
            self.runlog.picture(step, draw_filters(filters), what=FILTERS)
        return self.diversities(preview)

    def evaluate(self, step: int) -> dict[str, float]:
        """Measure the model; the numbers for the log, with pictures where there are some."""
        if self.evaluation is None:
            return {}
        found = self.evaluation.measure(self.session.game)
        for name, picture in found.pictures.items():
            self.runlog.picture(step, picture, what=name)
        self.keep_best(step, found.scalars)
        return found.scalars

    def best_before(self) -> float | None:
        """The objective's value in best.pt; None if that is of another one, or of none."""
        file = self.runlog.directory / checkpoint.FOLDER / checkpoint.BEST
        if not (self.config["eval_every"] and self.config["objective"] and file.exists()):
            return None
        try:
            best = checkpoint.read(file).get("best", {})
        except UserError as error:
            self.runlog.say(f"note: {error} Another best.pt is kept from here on.")
            return None
        if any(best.get(key) != self.config[key] for key in BEST_BY):
            self.runlog.say(
                f"note: {checkpoint.BEST} was kept by {best.get('objective')} "
                f"({best.get('direction')}); from here on it is by {self.config['objective']} "
                f"({self.config['direction']}), of what comes."
            )
            return None
        return float(best["value"])

    def keep_best(self, step: int, scalars: Mapping[str, float]) -> None:
        """Begin to write best.pt if the objective is better; all processes must ask together."""
        (better,) = self.ranks.largest([self.is_best(scalars)])
        if better:
            self.require_finite(step)
            self.settle()
            best = {"value": self.best} | {key: self.config[key] for key in BEST_BY}
            self.saver.save_best({**self.state(step), "best": best})

    def is_best(self, scalars: Mapping[str, float]) -> bool:
        """Whether the objective is better than ever; remembers it."""
        objective = self.config["objective"]
        value = scalars.get(objective or "")
        if objective and value is None and not self._objective_looked_for:
            self._objective_looked_for = True
            self.runlog.say(
                f"note: objective={objective} is not among what evaluations measure "
                f"({', '.join(key for key in scalars if not key.endswith('_error'))}), so no "
                f"{checkpoint.BEST} is kept."
            )
        if value is None:
            return False
        sign = 1 if self.config["direction"] == "minimize" else -1
        if self.best is not None and sign * value >= sign * self.best:
            return False
        self.best = value
        return True

    def diversities(self, preview: Preview) -> dict[str, float]:
        """Mean pairwise distance of generated and of real data, and the modes they reach."""
        sets = {f"_{domain}": pair for domain, pair in preview.translations.items()}
        if not isinstance(self.dataset, PairDataset):
            sets[""] = preview.samples.float().cpu(), self.real
        found = {}
        for suffix, (fake, real) in sets.items():
            if len(fake) > 1 and len(real) > 1:
                found[f"diversity/fake{suffix}"] = diversity(fake)
                found[f"diversity/real{suffix}"] = diversity(real)
        if isinstance(self.dataset, Dataset) and self.dataset.density is not None:
            found["modes/covered"] = float(self.dataset.density.covered(preview.samples))
            found["modes/total"] = float(len(self.dataset.density.means))
        return found

    def picture(self, preview: Preview) -> Picture:
        """The preview, drawn."""
        return draw(
            preview.samples,
            preview.spec,
            real=self.real,
            columns=preview.columns,
            captions=preview.captions,
        )

    def save(self, step: int) -> None:
        """Begin to write a checkpoint; if one fails, say so and go on to the next.

        Raises:
            DivergedError: the weights are not finite.
        """
        self.settle()
        self.begin(step)

    def begin(self, step: int) -> None:
        """Begin to write a checkpoint, unless the weights are not finite.

        Raises:
            DivergedError: they are not.
        """
        self.require_finite(step)
        self.runlog.flush()
        self.saver.save(
            self.state(step),
            keep_last=self.config["keep_last"],
            keep_every=self.config["keep_every"],
            metrics=without_machine(self.runlog.last),
            first=self.runlog.sync,
        )

    def state(self, step: int) -> dict[str, Any]:
        """What a checkpoint of `step` holds."""
        return {
            "step": step,
            "config": self.config,
            "spec": asdict(self.dataset.spec),
            "environment": self.environment,
            "session": self.session.state_dict(),
        }

    def require_finite(self, step: int) -> None:
        """Look at all weights.

        Raises:
            DivergedError: some are not finite.
        """
        state = self.session.game.state_dict()
        values = {key: value for key, value in state.items() if isinstance(value, torch.Tensor)}
        sound = torch.stack([torch.isfinite(value).all() for value in values.values()])
        for name, is_sound in zip(values, sound.tolist(), strict=True):  # one wait for the device
            if not is_sound:
                raise DivergedError(f"training diverged: {name} is not finite at step {step}.")

    def settle(self, *, wait: bool = True) -> None:
        """Say so if the checkpoint begun last could not be written."""
        before = self.saver.saved_step
        try:
            self.saver.wait() if wait else self.saver.poll()
        except OSError as error:
            if not self._unsaved:
                self.runlog.say(
                    f"warning: a checkpoint could not be written ({error}). Older ones are kept; "
                    "all that follow are tried as usual."
                )
            self._unsaved = True
        else:
            if self._unsaved and self.saver.saved_step != before:
                self._unsaved = False
                self.runlog.say("checkpoints can be written again.")

    def save_at_end(self) -> None:
        """Write the last checkpoint, if the cadence has not, and wait until it is safe.

        Raises:
            DivergedError: the weights are not finite.
            GanTrainError: it could not be written, so work is lost.
        """
        self.settle()
        (unsaved,) = self.ranks.largest([self.saver.saved_step != self.session.step])
        if not unsaved:
            return
        self.begin(self.session.step)
        try:
            self.saver.wait()
        except OSError as error:
            raise GanTrainError(
                f"{self.runlog.directory}: the last checkpoint could not be written ({error}). "
                "Older ones are kept; make room, then resume."
            ) from error


class Follower:
    """What the loop of rank 1 and up reports to: it only takes part in what all do together."""

    def __init__(self, session: Session, *, evaluates: bool) -> None:
        self.session, self.evaluates = session, evaluates

    def advance(self, step: int) -> None:
        """Nothing to show."""

    def log(self, step: int, scalars: dict[str, float]) -> None:
        """Nothing to write."""

    def sample(self, step: int) -> dict[str, float]:  # noqa: ARG002
        """Nothing to draw."""
        return {}

    def evaluate(self, step: int) -> dict[str, float]:  # noqa: ARG002
        """Wait for rank 0, and give it what belongs into the best checkpoint."""
        if self.evaluates and self.session.game.ranks.largest([False])[0]:
            self.session.state_dict()
        return {}

    def save(self, step: int) -> None:  # noqa: ARG002
        """Give rank 0 what belongs into the checkpoint."""
        self.session.state_dict()

    def save_at_end(self) -> None:
        """Likewise, if rank 0 has not saved that step yet."""
        if self.session.game.ranks.largest([False])[0]:
            self.session.state_dict()


def run(config: Config, given: list[str]) -> int:
    """Train as configured; under torchrun, together with the other processes.

    Args:
        config: resolved, plain containers.
        given: the keys that the command line names.

    Returns:
        The exit code: 0, or 128 + signal.

    Raises:
        GanTrainError: anything expected that ends a run; says what and what would work.
    """
    ranks = from_environment()
    with ExitStack() as stack:
        try:
            if not ranks.alone:
                meet(ranks, resolve_device(config["device"], local=ranks.local))
                stack.callback(part)
            start = ranks.from_first(lambda: plan(config, given, ranks, stack))
            if finished(start):
                if ranks.is_first:
                    Terminal().say(report.nothing_left(start))
                return 0
            device = resolve_device(start.config["device"], local=ranks.local)
            set_up(start.config, device)
            dataset = load_in_turn(start.config, ranks)
            start.messages += dataset.notes
            session = build_session(start.config, dataset, device, ranks=ranks)
            try_networks(start.config, session)
            take_up(start, session)
            if not ranks.is_first:
                return follow(start.config, session)
            evaluation = evaluation_of(start.config, session.game, dataset, LoadingBar())
            if evaluation is not None and isinstance(dataset, ShardDataset):
                start.messages += evaluation.reference.dataset.notes
            if config["dry_run"]:
                Terminal().say(report.summary(start.config, session, dataset, start.messages))
                return 0
            return train_in_directory(start, session, dataset, evaluation, stack)
        except (RuntimeError, MemoryError) as error:
            if is_out_of_memory(error):
                raise GanTrainError(memory_message(config)) from error
            if isinstance(error, RuntimeError) and is_loss_of_another(error):
                reason = " ".join(str(error).split())[:200]
                raise GanTrainError(
                    f"rank {ranks.rank}: another process of this run is gone ({reason}). "
                    "torchrun --max-restarts=N goes on from the newest checkpoint by itself."
                ) from error
            raise


def plan(config: Config, given: list[str], ranks: Ranks, stack: ExitStack) -> Start:
    """Where the run starts, its config checked.

    Raises:
        UserError: there is no such start, or the config makes no sense.
    """
    if restarts():
        mark = begun_mark(config)
        begun = Path(mark.read_text(encoding="utf-8")) if mark.is_file() else None
        start = resume.plan_restart(config, given, stack.enter_context, begun)
    else:
        start = resume.plan(config, given, stack.enter_context)
    trusted = start.from_user or start.config["trust_checkpoint"]
    start.messages += check(
        start.config, trusted=trusted, from_command_line=given, world=ranks.world
    )
    return start


def begun_mark(config: Config) -> Path:
    """The file that tells a group started anew which run it had begun."""
    return Path(config["output_dir"]) / f".torchrun-{group_name()}"


def load_in_turn(config: Config, ranks: Ranks) -> AnyDataset:
    """Load the data: rank 0 first, which may have to fetch or decode them for all."""
    loaded: list[AnyDataset] = []

    def load() -> None:
        loaded.append(load_data(config, progress=LoadingBar()))

    ranks.from_first(load)
    if not loaded:
        load()
    return loaded[0]


def follow(config: Config, session: Session) -> int:
    """Train as rank 1 or up."""
    if config["dry_run"]:
        return 0
    follower = Follower(session, evaluates=bool(config["eval_every"]))
    with StopRequest() as stop:
        reason = train_session(config, session, follower, stop)
        follower.save_at_end()
    return stop.exit_code if reason == "signal" else 0


def try_networks(config: Config, session: Session) -> None:
    """Let a user's own networks see two samples before anything is written.

    Raises:
        UserError: they fail on them.
    """
    if not foreign_targets(config):
        return
    try:
        session.game.check_shapes()
    except Exception as error:  # what a user's own class raises is not ours to foresee
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(
            f"model: the networks do not fit the data or each other ({reason})."
        ) from error


def finished(start: Start) -> bool:
    """Whether a resumed run has nothing left to do."""
    return start.state is not None and start.state["step"] >= start.config["steps"]


def take_up(start: Start, session: Session) -> None:
    """Load what the run starts from, if anything.

    Raises:
        UserError: it does not fit the config.
    """
    if start.state is not None:
        try:
            session.load_state_dict(start.state["session"])
            start.messages += session.batches.resume_notes
        except (RuntimeError, LookupError, TypeError, ValueError, AttributeError) as error:
            reason = " ".join(str(error).split())[:300]
            raise UserError(
                f"resume={start.config['resume']}: the checkpoint does not fit its own config "
                f"({reason})."
            ) from error
    elif start.config["init_from"] is not None:
        source = Path(start.config["init_from"])
        path, state, messages = rundir.read_checkpoint(source, key="init_from")
        try:
            session.game.load_networks(state["session"]["game"])
        except (RuntimeError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise UserError(
                f"init_from={source}: its networks are not those of this config:\n  {error}"
            ) from error
        start.messages += messages
        start.messages.append(
            f"weights from {path}, step {state['step']}; everything else starts afresh."
        )


def train_in_directory(
    start: Start,
    session: Session,
    dataset: AnyDataset,
    evaluation: Evaluation | None,
    stack: ExitStack,
) -> int:
    """Claim a run directory, unless the run goes on in its own, and train in it."""
    config = start.config
    directory = start.directory
    if directory is None:
        label = f"{config['model']['name']}-{config['data']['name']}"
        output_dir = Path(config["output_dir"])
        directory = rundir.claim(
            output_dir, name=config["name"], label=label, go_on=report.trust(config)
        )
        config["name"] = str(directory.relative_to(output_dir))
        stack.enter_context(rundir.lock(directory))
    config["resume"] = None
    remove_leftovers(directory)
    try:
        if not session.game.ranks.alone:
            begun_mark(config).write_text(str(directory), encoding="utf-8")
        rundir.write_config(directory, config)
        rundir.require_writable(directory / checkpoint.FOLDER)
    except OSError as error:
        where = error.filename or directory
        raise UserError(f"{where}: cannot be written ({error.strerror}).") from error
    log = RunLog(directory, step=session.step, steps=config["steps"])
    session.batches.watch(lambda text: log.say(f"note: {text}"))
    now = environment.describe(
        session.device,
        threads=config["threads"],
        data=dataset.fingerprint(),
        processes=session.game.ranks.world,
    )
    recorder = Recorder(log, session, dataset, config, now, evaluation)
    for line in report.introduction(start, session, dataset, now, directory):
        log.say(line)
    for note in start.messages + report.repetition(config, dataset):
        log.say(f"note: {note}")
    log.note("  ".join(f"{key}: {value}" for key, value in now.items()))
    try:
        code = train_and_report(config, recorder)
        if not session.game.ranks.alone:
            begun_mark(config).unlink(missing_ok=True)
        return code
    except DivergedError as error:
        recorder.settle()
        kept = checkpoint.found(directory / checkpoint.FOLDER)
        advice = report.after_divergence(config, directory, kept)
        log.note(f"ended: {error}")
        raise DivergedError(f"{error}\n{advice}") from error
    except BaseException as error:
        log.note(f"ended: {error or type(error).__name__}")
        raise
    finally:
        try:
            recorder.settle()
        finally:
            log.close()


def train_and_report(config: Config, recorder: Recorder) -> int:
    """Train, save, and say how it ended and how to go on."""
    session, log = recorder.session, recorder.runlog
    with StopRequest() as stop:
        if session.step == 0:
            recorder.sample(0)
        with log:
            reason = train_session(config, session, recorder, stop)
        recorder.save_at_end()
        animate(log.directory / THEORY)
        picture = log.final_picture(recorder.picture(session.game.preview()))
    log.table()
    lines = report.ending(config, log, session, reason, picture=picture, signal=stop.name)
    log.say("\n".join(lines))
    return stop.exit_code if reason == "signal" else 0


def train_session(
    config: Config, session: Session, observer: Observer, stop: StopRequest
) -> Reason:
    """Run the loop as configured."""
    turns: dict[Player, Turn] = {"d": Turn(session.game, "d"), "g": Turn(session.game, "g")}
    for turn in turns.values():
        if config["compile"]:
            turn.compile_for(session.device, parts=config["accumulate"])
        turn.join(session.game.ranks)
    return train(
        session,
        turns,
        observer,
        stop,
        k=config["k"],
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
            autocast=autocast(session.device, precision=config["precision"]),
            parts=config["accumulate"],
            max_grad_norm=config["max_grad_norm"],
        ),
    )


def set_up(config: Config, device: torch.device) -> None:
    """Set PyTorch up as configured; a thread count that is not given becomes part of the run."""
    if config["threads"] is None:
        config["threads"] = environment.default_threads()
    set_up_torch(
        device,
        threads=config["threads"],
        precision=config["precision"],
        deterministic=config["deterministic"],
    )


def memory_message(config: Config) -> str:
    """Out of memory as one message that names what to make smaller."""
    size = config["data"].get("image_size")
    image = f", data.image_size={size}" if size is not None else ""
    return (
        f"out of memory on device={config['device']} with "
        f"data.batch_size={config['data']['batch_size']}{image}, k={config['k']}. "
        "Make the first smaller, or the image or the networks (k costs time, not memory)."
    )


if __name__ == "__main__":
    from gan_cli.cli.commands import train as main

    main()
