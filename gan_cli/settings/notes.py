"""Notes on settings that are allowed, but have no effect or another than one may think."""

from __future__ import annotations

import inspect
from collections.abc import Collection

import torch

from gan_cli.noise import Spherical
from gan_cli.regularizers import has_batch_norm, is_unbounded
from gan_cli.schedules import Schedule
from gan_cli.settings.targets import Node
from gan_cli.settings.trial import Parts

#: What D says in training: better for a D that learns nothing than for a good pair of players.
FLATTERED = ("divergence/jsd_bound", "value", "value/measured")
FLATTERED_GROUPS = ("loss/", "prob/", "score/")


def all_notes(
    config: Node, parts: Parts, device: torch.device, from_command_line: Collection[str]
) -> list[str]:
    """Every note on a config without problems, each a sentence.

    Args:
        config: checked.
        parts: made of it.
        device: the run's.
        from_command_line: keys that the user named; defaults without effect need no note.
    """
    return [
        *device_notes(config, device),
        *schedule_notes(config, parts.objects["schedule"]),
        *network_notes(config, parts, from_command_line),
        *noise_notes(parts, from_command_line),
        *group_notes(config, from_command_line),
        *cadence_notes(config, from_command_line),
        *objective_notes(config["objective"]),
    ]


def objective_notes(objective: str | None) -> list[str]:
    """A note on an objective that says how the game stands, not how good the samples are."""
    if objective is None:
        return []
    if objective not in FLATTERED and not objective.startswith(FLATTERED_GROUPS):
        return []
    return [
        f"objective={objective} is read off D, and a weak D flatters it: with optimizer.lr_d=1e-7 "
        "the worst run can look best. Use a measured one: divergence/jsd where p_data is known, "
        "else eval/frechet_classifier for images with classes, or another key that an evaluation "
        "logs. eval_every=N evaluates every N steps."
    ]


def device_notes(config: Node, device: torch.device) -> list[str]:
    """Notes on what a device does not have."""
    if config["deterministic"] and device.type == "mps":
        return ["deterministic=true has no effect on mps, which promises nothing."]
    if config["deterministic"] and device.type == "cpu":
        return ["deterministic=true has no effect on the CPU, where runs always repeat exactly."]
    return []


def schedule_notes(config: Node, schedule: Schedule) -> list[str]:
    """Notes on a schedule that has no effect, or ends before or after the run."""
    notes = []
    moves_momentum = getattr(schedule, "final_momentum", None) is not None
    if moves_momentum and "momentum" not in config["optimizer"]:
        notes.append("schedule.final_momentum has no effect: this optimizer has no momentum.")
    last = schedule.last_step
    if last is not None and last > config["steps"]:
        notes.append(
            f"the learning rate reaches 0 at step {last}, after steps={config['steps']}; "
            "schedule.constant_steps and schedule.decay_steps set its length."
        )
    if last is not None and last < config["steps"]:
        notes.append(
            f"the learning rate is 0 from step {last} on, but steps={config['steps']}: "
            "nothing is learned after that."
        )
    return notes


def network_notes(config: Node, parts: Parts, from_command_line: Collection[str]) -> list[str]:
    """Notes on what the networks do not have."""
    notes = []
    discriminator = parts.networks.get("discriminator")
    if discriminator is not None and is_unbounded(
        parts.regularizers, loss=parts.objects["loss"], discriminator=discriminator
    ):
        notes.append(
            "loss=wasserstein: nothing bounds D's slope, so its scores will run away. Add "
            "regularizer=gradient_penalty (with model.discriminator.norm=layer instead of batch "
            "norm) or weight_clipping."
        )
    if config["sync_batch_norm"] and not any(map(has_batch_norm, parts.networks.values())):
        notes.append("sync_batch_norm has no effect: these networks have no batch norm.")
    if "model.backbone" in from_command_line:
        notes.append(
            "++model.backbone names the networks without exchanging them: write model.backbone=..."
        )
    for role in ("generator", "discriminator"):
        key = f"model.{role}.fourier_scale"
        if key in from_command_line and not config["model"][role].get("fourier_features"):
            notes.append(f"{key} has no effect: fourier_features=0.")
    return notes


def noise_notes(parts: Parts, from_command_line: Collection[str]) -> list[str]:
    """Notes on a prior that is not drawn from, or has few values."""
    notes = []
    if "noise" not in inspect.signature(parts.classes["model"]).parameters:
        unused = [key for key in from_command_line if key.split(".")[0] == "noise"]
        if unused:
            notes.append(f"{', '.join(unused)} has no effect: this model draws no noise.")
    noise = parts.objects["noise"]
    if isinstance(noise, Spherical) and noise.dim == 1:
        notes.append(
            "noise=spherical with noise.dim=1 draws only -1 and +1: G can make two points."
        )
    return notes


def group_notes(config: Node, from_command_line: Collection[str]) -> list[str]:
    """Notes on keys of groups that other keys leave without effect."""
    notes = []
    if config["data"].get("a") is not None:
        notes += [
            f"{key} has no effect: data.a and data.b are set."
            for key in ("data.root", "data.download")
            if key in from_command_line
        ]
    if not config["ema"]["decay"] and "ema.ramp_up" in from_command_line:
        notes.append("ema.ramp_up has no effect: ema.decay=0 keeps no average.")
    optimizer = config["optimizer"]
    if "optimizer.lr" in from_command_line and None not in (optimizer["lr_d"], optimizer["lr_g"]):
        notes.append("optimizer.lr has no effect: lr_d and lr_g are both set.")
    return notes


def cadence_notes(config: Node, from_command_line: Collection[str]) -> list[str]:
    """Notes on checkpoints and evaluations that never come."""
    notes = []
    if config["keep_every"] and not (config["checkpoint_every"] or config["checkpoint_minutes"]):
        notes.append(
            "keep_every has no effect: checkpoint_every=0 checkpoint_minutes=null write only the "
            "last one."
        )
    if config["objective"] is None and "direction" in from_command_line:
        notes.append("direction has no effect: there is no objective.")
    if config["eval_every"] > config["steps"]:
        notes.append(
            f"eval_every={config['eval_every']} is beyond steps={config['steps']}: "
            "nothing is evaluated."
        )
    most = config["steps"] // config["eval_every"] if config["eval_every"] else 0
    if config["patience"] and most <= config["patience"]:
        notes.append(
            f"patience={config['patience']} has no effect: steps={config['steps']} and "
            f"eval_every={config['eval_every']} make {most} evaluation{'' if most == 1 else 's'}, "
            "and the first one always counts as an improvement."
        )
    settings = ("eval_metrics", "eval_samples", "inception")
    unused = [key for key in settings if key in from_command_line]
    if unused and not config["eval_every"]:
        notes.append(f"{', '.join(unused)} without effect: eval_every=0 evaluates nothing.")
    return notes
