"""What a training run says before it starts and after it ends."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from gan_cli.data.base import AnyDataset, Dataset, ShardDataset
from gan_cli.errors import printable
from gan_cli.runs.patience import Patience, patience_in
from gan_cli.runs.recorder import Recorder
from gan_cli.runs.resume import PLACE, STARTING, Config, Start
from gan_cli.settings.defaults import changed, changed_options
from gan_cli.settings.schema import RESUMABLE
from gan_cli.settings.trust import resume_flags, trust_flags
from gan_cli.spec import DataSpec
from gan_cli.system import environment
from gan_cli.system.shell import arguments, command, program
from gan_cli.training.loop import Reason
from gan_cli.training.state import TrainState

LARGEST_RATE = 1e-3  # that is advised
MOST_CLASSES = 20  # named at the start
#: Differences of D's verdicts; the health monitor warns of the same ones.
FOOLED, SURE = 0.1, 0.02
#: What the diversity is of, by the end of its key.
DIVERSITIES = {
    "": "",
    "_a": " in domain a",
    "_b": " in domain b",
    "_within": " within a class",
}
#: Config keys that describe the options rather than the training.
NOT_SETTINGS = ("model.steps.", "model.presets.", "model.name", "data.name", "data.kind")


def introduction(
    start: Start, state: TrainState, dataset: AnyDataset, now: dict[str, str], directory: Path
) -> list[str]:
    """What is about to happen, and what changed since the checkpoint."""
    config = start.config
    where = f"{config['threads']} thread{'' if config['threads'] == 1 else 's'}"
    if now["processes"] != "1":
        where = f"{now['processes']} processes of {where}"
    of_g = f"g_moves={config['g_moves']}, " if config["g_moves"] > 1 else ""
    lines = [
        f"{config['model']['name']} on {config['data']['name']}: {amount(dataset)} of "
        f"{dataset.spec.text}, m={config['data']['batch_size']}, k={config['k']}, {of_g}"
        f"{config['steps']} steps{epochs(config, dataset)} on {now['device']} ({where}) "
        f"in {directory}",
        *class_counts(dataset),
    ]
    if start.state is not None:
        lines.append(f"resumed at step {state.step}")
        lines += [
            f"note: {change}; from here on the run may differ from an unbroken one."
            for change in environment.changes(start.state["environment"], now)
        ]
    return lines


def amount(dataset: AnyDataset) -> str:
    """How many data there are, or at least how many shards."""
    if not isinstance(dataset, ShardDataset):
        return f"{len(dataset):,} data"
    counted = f" with {dataset.images:,} images" if dataset.images else ""
    shards = len(dataset.shards.names)
    return f"{shards:,} shard{'s' if shards > 1 else ''}{counted}"


def class_counts(dataset: AnyDataset) -> list[str]:
    """A line with the classes and how many data each has; nothing without labels."""
    if not isinstance(dataset, Dataset) or (counts := dataset.class_counts()) is None:
        return []
    labels = range(dataset.spec.classes)
    names = [printable(dataset.spec.name_of(label), keep="") for label in labels]
    shown = [f"{name} {n:,}" for name, n in zip(names, counts, strict=True)][:MOST_CLASSES]
    more = f" and {len(names) - MOST_CLASSES} more" if len(names) > MOST_CLASSES else ""
    return [f"classes: {', '.join(shown)}{more}"]


def epochs(config: Config, dataset: AnyDataset) -> str:
    """How often the run sees each of a counted number of images in shards."""
    if not isinstance(dataset, ShardDataset) or dataset.images is None:
        return ""
    batches = config["k"] + config["g_moves"] - 1  # G's first move takes none of its own
    drawn = config["steps"] * batches * config["data"]["batch_size"]
    return f" ({drawn / dataset.images:.3g} epochs)"


def repetition(config: Config, dataset: AnyDataset) -> list[str]:
    """A note if there are fewer data than a batch holds."""
    there = dataset.images if isinstance(dataset, ShardDataset) else len(dataset)
    if there is None or config["data"]["batch_size"] <= there:
        return []
    times = config["data"]["batch_size"] / there
    return [f"each batch holds every datum about {times:.1f} times: data are fewer than m."]


def ending(
    config: Config, recorder: Recorder, reason: Reason, *, picture: Path, signal: str
) -> str:
    """How the run ended, and the commands a person may want now, ready to be pasted."""
    log, state = recorder.runlog, recorder.state
    how = {
        "done": "done",
        "patience": f"stopped by patience={config['patience']}",
        "time": f"stopped after max_minutes={config['max_minutes']}",
        "signal": f"stopped by {signal}",
    }[reason]
    directory, flags, more = log.directory, trust_flags(config), resume_flags(config)
    longer: dict[str, object] = {"steps": 2 * state.step} if reason == "done" else {}
    seconds = timedelta(seconds=round(state.elapsed()))
    if reason == "patience":
        longer = {"patience": more_patience(recorder.patience)}
    lines = [
        f"{how}: {state.step} of {config['steps']} steps in {seconds}, all saved.",
        *([recorder.patience.sentence()] if reason == "patience" else []),
        *how_it_went(log.newest),
        f"  pictures  {picture.parent}/  (the newest: {picture.name})",
        *([f"  report    {directory / 'report.html'}"] if config["report"] else []),
        f"  curves    {program('tensorboard')} --logdir {shlex.quote(str(directory))}",
        f"  measure   {command('gan-evaluate', run=directory, **more)}",
        f"  go on     {resuming(state, resume=directory, **longer, **more)}",
        *use_command(state, directory, flags),
    ]
    return "\n".join(lines)


def how_it_went(numbers: Mapping[str, float]) -> list[str]:
    """One sentence on the newest numbers of a log: what D says, and how varied samples are."""
    parts = []
    if {"prob/real", "prob/fake"} <= numbers.keys():
        real, fake = numbers["prob/real"], numbers["prob/fake"]
        parts.append(f"D(x) {real:.2f}, D(G(z)) {fake:.2f}: {what_d_knows(real, fake)}")
    elif {"score/real", "score/fake"} <= numbers.keys():
        real, fake = numbers["score/real"], numbers["score/fake"]
        parts.append(f"D's mean score is {real:.3g} on real data and {fake:.3g} on generated ones")
    for suffix, of_domain in DIVERSITIES.items():
        there, fake = (numbers.get(f"diversity/{kind}{suffix}", 0.0) for kind in ("real", "fake"))
        if there > 0 and f"diversity/fake{suffix}" in numbers:
            share = fake / there
            parts.append(f"diversity {share:.2f} of the data's{of_domain}")
    if {"modes/covered", "modes/total"} <= numbers.keys():
        parts.append(f"{numbers['modes/covered']:.0f} of {numbers['modes/total']:.0f} modes")
    return [f"{'; '.join(parts)}."] if parts else []


def what_d_knows(real: float, fake: float) -> str:
    """What mean D(x) and mean D(G(z)) say of the game."""
    if fake - real > FOOLED or fake > 1 - FOOLED:
        return "D takes generated data for real"
    if real - fake < FOOLED:
        return "D can hardly tell them apart"
    if real > 1 - SURE and fake < SURE:
        return "D is sure of all, so G learns little"
    return "D often tells them apart" if real - fake < 0.8 else "D can tell them apart"


def resuming(state: TrainState, **keys: object) -> str:
    """The command to resume with as many processes as now."""
    world = state.game.ranks.world
    if world == 1:
        return command("gan-train", **keys)
    return f"torchrun --nproc-per-node={world} -m gan_cli.train {arguments(**keys)}"


def smaller_rate(config: Config) -> float:
    """A learning rate to try after numbers that are not finite."""
    return min(float(config["optimizer"]["lr"]) / 10, LARGEST_RATE)


def against_divergence(config: Config) -> list[str]:
    """Overrides to try after numbers that are not finite."""
    tries = [f"optimizer.lr={smaller_rate(config):g}"]
    if config["max_grad_norm"] is None:
        tries.append("max_grad_norm=1")
    if config["precision"] == "bf16":
        tries.append("precision=fp32")
    return tries


def after_divergence(config: Config, directory: Path, kept: Sequence[Path]) -> str:
    """What to try after numbers that are not finite, and what is left to begin from."""
    rate = smaller_rate(config)
    lines = [f"  try       {' or '.join(against_divergence(config))}"]
    if not kept:
        return "\n".join(["  kept      no checkpoint: none was written before", *lines])
    again = command(
        "gan-train", init_from=directory, **{"optimizer.lr": rate}, **trust_flags(config)
    )
    return "\n".join(
        [
            f"  kept      {kept[0]}; nothing newer was saved",
            *lines,
            f"  from it   {again} ... (a new run; say its model and data too)",
        ]
    )


def out_of_memory(config: Config) -> str:
    """Out of memory as one message that names what to make smaller."""
    size = config["data"].get("image_size")
    image = f", data.image_size={size}" if size is not None else ""
    return (
        f"out of memory on device={config['device']} with "
        f"data.batch_size={config['data']['batch_size']}{image}, k={config['k']}. "
        "Make the first smaller, or the image or the networks (k costs time, not memory)."
    )


def use_command(state: TrainState, directory: Path, flags: Mapping[str, object]) -> list[str]:
    """How to use what was trained; nothing for games that no command knows."""
    use = state.game.use
    if use is None:
        return []
    return [f"  {use.verb:<9} {command(use.command, run=directory, **use.keys, **flags)}"]


def more_patience(patience: Patience) -> int:
    """With which `patience` a run goes on that it has stopped: twice as much."""
    return 2 * patience.waited


def nothing_left(start: Start) -> str:
    """That a run is finished, and how to extend it."""
    assert start.state is not None
    step, flags = start.state["step"], resume_flags(start.config)
    patience = patience_in(start.state, start.config)
    if step < start.config["steps"] and patience is not None:
        limit, more = start.config["patience"], more_patience(patience)
        return (
            f"{start.directory}: stopped by patience={limit} at step {step} of "
            f"steps={start.config['steps']}: {patience.sentence()}\n"
            f"  to go on: {command('gan-train', resume=start.directory, patience=more, **flags)}"
        )
    longer = command("gan-train", resume=start.directory, steps=2 * step, **flags)
    return (
        f"{start.directory}: finished, {step} of steps={start.config['steps']} are done.\n"
        f"  to go on: {longer}"
    )


def dry_run(config: Config, state: TrainState, dataset: AnyDataset, notes: Sequence[str]) -> str:
    """What dry_run=true shows: networks and sizes."""
    game, spec = state.game, dataset.spec
    d, g = (
        sum(p.numel() for p in side.parameters()) for side in (game.discriminators, game.generators)
    )
    lines = [f"note: {note}" for note in notes]
    lines += [
        str(game),
        f"{amount(dataset)} of {spec.text}",
        *class_counts(dataset),
        *(
            f"  range {domain.value_range or 'unbounded'}, {domain.classes} classes"
            for domain in ([spec] if isinstance(spec, DataSpec) else [spec.a, spec.b])
        ),
        f"parameters: D {d:,}, G {g:,}",
        f"{config['steps']} steps on {state.device}",
        "dry_run=true: nothing was trained or written.",
    ]
    return "\n".join(lines)


def tensorboard_settings(config: Config) -> dict[str, object]:
    """What HPARAMS shows, flat: the model, the data, and what differs from their defaults."""
    skipped = RESUMABLE | STARTING | PLACE
    settings: dict[str, object] = {**changed_options(config)}
    for key, value in changed(config).items():
        if key in skipped or key.startswith(NOT_SETTINGS):
            continue
        if key.endswith("._target_"):  # a class of the user's own
            settings[key.removesuffix("._target_")] = str(value).rpartition(".")[2]
        elif value is None:
            settings[key] = "null"
        else:
            settings[key] = value if isinstance(value, bool | int | float) else str(value)
    return settings
