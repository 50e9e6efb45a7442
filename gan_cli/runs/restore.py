"""Loads into the state of training what a run starts from."""

from __future__ import annotations

from pathlib import Path

from gan_cli.data.base import AnyDataset, Dataset
from gan_cli.errors import Problem, UserError
from gan_cli.runs.directory import read_checkpoint
from gan_cli.runs.resume import Start
from gan_cli.spec import DataSpec, spec_from
from gan_cli.training.state import TrainState

#: What loading raises where a checkpoint's content is of another shape than its config says.
UNFIT = (RuntimeError, LookupError, TypeError, ValueError, AttributeError)


def as_it_was_seen(dataset: AnyDataset, start: Start) -> AnyDataset:
    """Data scaled as the checkpoint says, if there is one: files may have changed since then.

    Raises:
        UserError: the checkpoint describes no data.
    """
    if start.state is None or not isinstance(dataset, Dataset):
        return dataset
    try:
        spec = spec_from(start.state["spec"])
    except UNFIT as error:
        raise UserError(Problem("resume", start.config["resume"], str(error))) from error
    if not isinstance(spec, DataSpec) or spec.shape != dataset.spec.shape:
        return dataset  # which does not fit the networks either: `restore` says so
    return dataset.scaled_like(spec)


def restore(start: Start, state: TrainState) -> tuple[str, ...]:
    """Load a checkpoint to continue from, or the weights of `init_from`; else do nothing.

    Returns:
        Messages for the user.

    Raises:
        UserError: what is stored does not fit the config.
    """
    if start.state is not None:
        return _continue(start, state)
    if start.config["init_from"] is not None:
        return _take_weights(Path(start.config["init_from"]), state)
    return ()


def _continue(start: Start, state: TrainState) -> tuple[str, ...]:
    assert start.state is not None
    try:
        state.load_state_dict(start.state["session"])
    except UNFIT as error:
        reason = " ".join(str(error).split())[:300]
        advice = f"the checkpoint does not fit its own config ({reason})."
        raise UserError(Problem("resume", start.config["resume"], advice)) from error
    return state.batches.resume_notes


def _take_weights(source: Path, state: TrainState) -> tuple[str, ...]:
    path, stored, messages = read_checkpoint(source, key="init_from")
    try:
        state.game.load_networks(stored["session"]["game"])
    except UNFIT as error:
        advice = f"its networks are not those of this config:\n  {error}"
        raise UserError(Problem("init_from", source, advice)) from error
    used = f"weights from {path}, step {stored['step']}; everything else starts afresh."
    return (*messages, used)
