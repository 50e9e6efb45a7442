"""The config of gan-train for a command line, composed without running anything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gan_cli.settings.schema import config_dir, register_schemas


def compose_config(overrides: Sequence[str], *, resolve: bool = True) -> dict[str, Any]:
    """What gan-train composes, as plain containers.

    Args:
        overrides: as on its command line, without a sweep.
        resolve: put values in place of references.

    Raises:
        Exception: one of Hydra's, if an override is wrong.
    """
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from omegaconf import OmegaConf

    register_schemas()
    running = GlobalHydra.instance()  # of the command, if it is one that asks
    its_hydra, running.hydra = running.hydra, None
    try:
        with initialize_config_dir(str(config_dir()), version_base="1.3"):
            composed = compose("train", list(overrides))
            container = OmegaConf.to_container(composed, resolve=resolve)
    finally:
        GlobalHydra.instance().hydra = its_hydra
    assert isinstance(container, dict)
    return {str(key): value for key, value in container.items()}
