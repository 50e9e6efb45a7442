"""Old names of modules that have moved, which scripts of users and old console scripts may hold.

Importing one gives the module under its new name, with a warning. Names that stand in checkpoints
and configs have not moved.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING

from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Modules of version 0.1.0 below `gan_cli`, and where they are now.
MOVED = {
    "build": "settings.build",
    "check": "settings.check",
    "checkpoint": "runs.checkpoint",
    "commands": "cli.commands",
    "config": "settings.schema",
    "data.decode": "data.files.decode",
    "data.download": "data.files.download",
    "data.framing": "data.files.framing",
    "data.image_files": "data.files.cache",
    "data.shard_batches": "data.shards.batches",
    "data.shard_stream": "data.shards.stream",
    "density": "theory.density",
    "device": "system.device",
    "ema": "games.ema",
    "environment": "system.environment",
    "explain": "cli.explain",
    "files": "system.files",
    "health": "training.health",
    "loop": "training.loop",
    "metrics.divergence": "theory.divergence",
    "metrics.features": "evaluation.features",
    "metrics.parzen": "evaluation.parzen",
    "optimizers": "training.optimizers",
    "ranks": "system.ranks",
    "resume": "runs.resume",
    "rundir": "runs.directory",
    "runlog": "runs.log",
    "shell": "system.shell",
    "sweep": "cli.sweep.plan",
    "stopping": "system.stopping",
    "terminal": "system.terminal",
    "theory_pictures": "theory.pictures",
    "trained": "loading",
}
PACKAGES = {"metrics"}  # that held some of them, and are gone


class MovedModules(MetaPathFinder, Loader):
    """Finds a moved module by its old name."""

    @override
    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """A spec for an old name; None for all others."""
        package, _, module = name.partition(".")
        if package != "gan_cli" or module not in MOVED.keys() | PACKAGES:
            return None
        return ModuleSpec(name, self, is_package=module in PACKAGES)

    @override
    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """The module under its new name; an empty one for a package that is gone."""
        old = spec.name.removeprefix("gan_cli.")
        if old in PACKAGES:
            return None
        new = f"gan_cli.{MOVED[old]}"
        warnings.warn(f"{spec.name} is now {new}", DeprecationWarning, stacklevel=2)
        module = importlib.import_module(new)
        # The import system would write the old name's spec into it.
        self._specs[spec.name] = module.__spec__
        return module

    @override
    def exec_module(self, module: ModuleType) -> None:
        """It has run already; only its own spec is put back."""
        if module.__spec__ is not None and module.__spec__.name in self._specs:
            module.__spec__ = self._specs.pop(module.__spec__.name)

    def __init__(self) -> None:
        self._specs: dict[str, ModuleSpec | None] = {}


def install() -> None:
    """Let the old names be imported."""
    sys.meta_path.append(MovedModules())
