"""A command line made ready for Hydra: what people may type that Hydra alone would not take."""

from __future__ import annotations

import re

from gan_cli.settings.schema import BACKBONE, BACKBONE_GROUP

SWEEP_FLAGS = frozenset({"-m", "--multirun"})


def prepare(arguments: list[str]) -> list[str]:
    """The same command line in Hydra's words."""
    arguments = flags_first(arguments)
    if resumes(arguments):  # the groups come from the checkpoint
        return [force_inner_key(text) for text in arguments]
    return [choose_backbone(text) for text in arguments]


def flags_first(arguments: list[str]) -> list[str]:
    """Move -m before the overrides: the parser reads no override after a flag among them."""
    flags = [text for text in arguments if text in SWEEP_FLAGS]
    return flags + [text for text in arguments if text not in SWEEP_FLAGS]


def resumes(arguments: list[str]) -> bool:
    """Whether a run is resumed, whose config then comes from its checkpoint."""
    return any(text.startswith("resume=") and text != "resume=auto" for text in arguments)


def choose_backbone(text: str) -> str:
    """Let `model.backbone=mlp` exchange the networks, as the group of files behind it does."""
    key, equals, value = text.partition("=")
    return f"{BACKBONE_GROUP}={value}" if equals and key == BACKBONE else text


def force_inner_key(text: str) -> str:
    """Let a resumed run's command line set keys inside groups.

    Hydra would reject `data.root=x`, because the default data set has no root; `++` sets it
    anyway. Whether a resumed run may change the key at all is checked later, with the run at hand.
    """
    return f"++{text}" if re.match(r"(?!hydra\.)[a-z_]+\.[\w.]+=", text) else text
