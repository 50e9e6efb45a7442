"""What the loop reports to: log, pictures, evaluations and checkpoints of one run.

Every process has a recorder of this one class, so that all of them enter each exchange between
processes together. Only the first one's log and saver write.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from gan_cli.errors import DivergedError, GanTrainError
from gan_cli.evaluation.in_training import Evaluation
from gan_cli.pictures import titled
from gan_cli.runs.best import Best
from gan_cli.runs.log import REAL, SAMPLES, THEORY, RunLog
from gan_cli.runs.patience import STORED, Patience
from gan_cli.runs.previews import REAL_SHOWN, Previews
from gan_cli.runs.records import without_machine
from gan_cli.runs.saver import Saver
from gan_cli.settings.yaml_text import config_text
from gan_cli.spec import AnySpec
from gan_cli.system.memory import system_scalars
from gan_cli.system.stopping import StopRequest, WorkStoppedError, stoppable
from gan_cli.theory.pictures import animate
from gan_cli.training.health import Health
from gan_cli.training.held_out import HeldOut
from gan_cli.training.state import TrainState

#: Shown in TensorBoard's HPARAMS tab, with the objective.
HEADLINE_METRICS = (
    *("loss/d", "loss/g", "prob/real", "prob/fake"),
    *("score/real", "score/fake", "divergence/jsd_bound"),
)
#: A line that has one of these also gets the same of data held out.
REAL_KEYS = {"prob/real", "score/real"}


class Recorder:
    """Records one run; see the module."""

    def __init__(
        self,
        state: TrainState,
        config: dict[str, Any],
        *,
        log: RunLog,
        saver: Saver,
        spec: AnySpec,
        environment: Mapping[str, str],
        previews: Previews | None,
        evaluation: Evaluation | None,
        best: Best,
        health: Health | None = None,
        hparams: Mapping[str, object] | None = None,
    ) -> None:
        """Write nothing yet.

        Args:
            state: of training.
            config: as stored in checkpoints.
            log: where lines and pictures go; a NoLog off rank 0.
            saver: where checkpoints go; a NoSaver off rank 0.
            spec: of the data, for checkpoints.
            environment: versions and machine, for checkpoints.
            previews: draws pictures; None off rank 0.
            evaluation: measures the model; None off rank 0, or if nothing is evaluated.
            best: the objective.
            health: what earlier sessions of the run have shown.
            hparams: settings for TensorBoard's HPARAMS tab.
        """
        self.state, self.config, self.runlog, self.saver = state, config, log, saver
        self.spec, self.environment = spec, dict(environment)
        self.previews, self.evaluation, self.best = previews, evaluation, best
        #: For how long nothing has improved; counted on rank 0 alone.
        self.patience = Patience(best.objective, best.direction)
        self.health = health or Health()
        #: Data to see D on; None: none are held out.
        self.held_out: HeldOut | None = None
        self.hparams = hparams
        #: Signals, for evaluations to look at while training runs.
        self.stop: StopRequest | None = None
        self.ranks = state.game.ranks
        self._save_failed = False  # of the newest checkpoint

    def advance(self, step: int) -> None:
        """Move the progress bar."""
        self.runlog.advance(step)

    def log(self, step: int, scalars: dict[str, float]) -> None:
        """Write one line of numbers."""
        if self.hparams is not None:
            metrics = [key for key in HEADLINE_METRICS if key in scalars]
            if self.best.objective and self.best.objective not in metrics:
                metrics.append(self.best.objective)
            self.runlog.settings(config_text(self.config), self.hparams, metrics)
            self.hparams = None
        if self.held_out is not None and REAL_KEYS & scalars.keys():
            scalars = scalars | self.held_out.scalars(step)
        health, messages = self.health.add(scalars)
        self.runlog.scalars(step, scalars | health | system_scalars(self.state.device))
        for message in messages:
            self.runlog.finding(step, message)
        self.poll_save()

    def sample(self, step: int) -> dict[str, float]:
        """Write the pictures of `step`; returns how diverse the samples are."""
        if self.previews is None:
            return {}
        self._draw_real(self.previews)
        preview = self.state.game.preview()
        for folder, picture in self.previews.pictures(preview).items():
            self.runlog.picture(step, titled(picture, f"step {step}"), what=folder)
        return self.previews.diversities(preview)

    def _draw_real(self, previews: Previews) -> None:
        """Write a sheet of real data, once in a run, for people to compare samples with."""
        if (self.runlog.directory / SAMPLES / REAL).exists():
            return
        sheet = previews.real_sheet()
        if sheet is not None:
            self.runlog.real_picture(titled(sheet, f"{REAL_SHOWN} real data"))

    def evaluate(self, step: int) -> dict[str, float]:
        """Measure the model, keep best.pt; returns the numbers for the log."""
        scalars: dict[str, float] = {}
        if self.evaluation is not None:
            scalars = self._measure(step, self.evaluation)
        self.patience.add(step, scalars)
        (is_best,) = self.ranks.largest([self.best.improves(scalars)])
        if is_best:
            self.require_finite(step)
            self.poll_save(wait=True)
            self.saver.save_best({**self.checkpoint(step), "best": self.best.as_stored()})
        return scalars

    def _measure(self, step: int, evaluation: Evaluation) -> dict[str, float]:
        """The numbers of an evaluation, its pictures drawn; none of it if a signal comes first."""
        try:
            with stoppable(self.stop):
                results = evaluation.measure(self.state.game)
        except WorkStoppedError as signal_name:
            self.runlog.say(f"note: {signal_name} came, so step {step} is not evaluated.")
            return {}
        for name, picture in results.pictures.items():
            self.runlog.picture(step, titled(picture, f"step {step}"), what=name)
        if note := self.best.missing_note(results.scalars, patience=self.config["patience"]):
            self.runlog.say(note)
        if self.config["patience"] and (note := self.patience.note(results.scalars)):
            self.runlog.say(note)
        return results.scalars

    def save(self, step: int) -> None:
        """Begin to write a checkpoint; if one fails, report it and try the next as usual.

        Raises:
            DivergedError: the weights are not finite.
        """
        self.poll_save(wait=True)
        self._begin_save(step)

    def is_over(self) -> bool:
        """Whether nothing has improved for as long as `patience` says; only rank 0 knows."""
        return self.patience.is_over(self.config["patience"])

    def save_at_end(self) -> None:
        """Write the last checkpoint, if the cadence has not, and wait until it is safe.

        Raises:
            DivergedError: the weights are not finite.
            GanTrainError: it could not be written, so work is lost.
        """
        self.poll_save(wait=True)
        step = self.state.step
        (is_unsaved,) = self.ranks.largest([not self.saver.has_saved(step)])
        if not is_unsaved:
            return
        self._begin_save(step)
        try:
            self.saver.wait()
        except OSError as error:
            raise GanTrainError(
                f"{self.runlog.directory}: the last checkpoint could not be written ({error}). "
                "Older ones are kept; make room, then resume."
            ) from error

    def final_picture(self) -> Path | None:
        """Write samples/final.png, and join the pictures; None: not this process's task."""
        if self.previews is None:
            return None
        for folder in (SAMPLES, THEORY):
            try:
                animate(self.runlog.directory / folder)
            except (OSError, ValueError) as error:
                damaged = f"{folder}/ has no animation: a picture is damaged ({error})."
                self.runlog.say(f"note: {damaged}")
        picture = self.previews.sheet(self.state.game.preview())
        return self.runlog.final_picture(titled(picture, f"step {self.state.step}"))

    def _begin_save(self, step: int) -> None:
        self.require_finite(step)
        self.runlog.flush()
        self.saver.save(
            self.checkpoint(step),
            keep_last=self.config["keep_last"],
            keep_every=self.config["keep_every"],
            metrics=without_machine(self.runlog.last),
            first=self.runlog.sync,
        )

    def poll_save(self, *, wait: bool = False) -> None:
        """Report it if the newest checkpoint could not be written; `wait` until it is known."""
        before = self.saver.saved_step
        try:
            self.saver.wait() if wait else self.saver.poll()
        except OSError as error:
            if not self._save_failed:
                self.runlog.say(
                    f"warning: a checkpoint could not be written ({error}). Older ones are kept; "
                    "the next ones are tried as usual."
                )
            self._save_failed = True
        else:
            if self._save_failed and self.saver.saved_step != before:
                self._save_failed = False
                self.runlog.say("checkpoints can be written again.")

    def checkpoint(self, step: int) -> dict[str, Any]:
        """What a checkpoint of `step` holds; all processes must ask for it together."""
        counted = {} if self.patience.objective is None else {STORED: self.patience.as_stored()}
        return {
            "step": step,
            "config": self.config,
            "spec": asdict(self.spec),
            "environment": self.environment,
            "session": self.state.state_dict(),
            **counted,
        }

    def require_finite(self, step: int) -> None:
        """Check all weights; all processes must ask for it together.

        Raises:
            DivergedError: some are not finite.
        """
        state = self.state.game.state_dict()
        tensors = {key: value for key, value in state.items() if isinstance(value, torch.Tensor)}
        finite = torch.stack([torch.isfinite(value).all() for value in tensors.values()])
        flags = finite.tolist()  # one wait for the device
        broken = [name for name, is_finite in zip(tensors, flags, strict=True) if not is_finite]
        (is_broken,) = self.ranks.largest([bool(broken)])
        if is_broken:
            name = broken[0] if broken else "a value of another process"
            raise DivergedError(f"training diverged: {name} is not finite at step {step}.")
