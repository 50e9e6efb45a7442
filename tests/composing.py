"""Hydra remembers in tests what it composed of the product's own files, which no test changes.

Thousands of commands compose configs. Most of a composition's time goes into choosing the files
and joining them, before the command line's keys are set. That part depends on the options alone.
"""

from __future__ import annotations

import copy
from functools import cache
from pickle import dumps, loads
from types import SimpleNamespace
from typing import Any

import pytest
from hydra._internal import config_loader_impl as loader
from hydra._internal import config_repository as repository
from hydra._internal import defaults_list as defaults
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core import utils as hydra_utils
from omegaconf import DictConfig, grammar_parser

from gan_cli.settings.schema import config_dir

OWN = {f"file://{config_dir()}", "pkg://hydra.conf", "structured://"}


def places(repo: repository.IConfigRepository) -> tuple[str, ...] | None:
    """Where the configs come from, or None if others than the product's own are among them."""
    found = tuple(f"{source.scheme()}://{source.path}" for source in repo.get_sources())
    return found if OWN.issuperset(found) else None


def remember(patch: pytest.MonkeyPatch) -> None:
    """Let Hydra read and join the same files once."""
    remember_files(patch)
    remember_choices(patch)
    remember_joined(patch)
    parse = cache(grammar_parser.parse)  # trees of references, which are only walked through
    patch.setattr("omegaconf.base.parse", parse)
    patch.setattr("omegaconf._utils.parse", parse)
    # Copies of configs are three to seven times as fast through pickle.
    patch.setattr(hydra_utils, "copy", SimpleNamespace(deepcopy=lambda c: loads(dumps(c))))

    def share(self: repository.CachingConfigRepository, delegate: Any) -> None:
        self.delegate = copy.copy(delegate)  # Hydra makes a deep copy; only `sources` is set anew
        self.cache = {}

    patch.setattr(repository.CachingConfigRepository, "__init__", share)


def remember_files(patch: pytest.MonkeyPatch) -> None:
    read = repository.ConfigRepository.load_config
    known: dict[Any, bytes] = {}

    def load_config(self: repository.ConfigRepository, config_path: str) -> Any:
        own = places(self)
        if own is None:
            return read(self, config_path)
        key = (config_path, own)
        if key not in known:
            known[key] = dumps(read(self, config_path))
        return loads(known[key])

    patch.setattr(repository.ConfigRepository, "load_config", load_config)


def remember_choices(patch: pytest.MonkeyPatch) -> None:
    """The list of files, by the options that the command line names."""
    create = defaults.create_defaults_list
    known: dict[Any, defaults.DefaultsList] = {}

    def create_defaults_list(
        repo: repository.IConfigRepository, config_name: str, overrides_list: list[Any], **how: Any
    ) -> defaults.DefaultsList:
        own = places(repo)
        if own is None:
            return create(repo, config_name, overrides_list, **how)
        keys = defaults.Overrides(repo=repo, overrides_list=overrides_list).config_overrides
        options = [o.input_line for o in overrides_list if all(o is not key for key in keys)]
        place = (own, config_name, *options, *sorted(how.items()))
        if place not in known:
            known[place] = create(repo, config_name, overrides_list, **how)
        found = known[place]
        return defaults.DefaultsList(found.defaults, found.defaults_tree, keys, found.overrides)

    patch.setattr(loader, "create_defaults_list", create_defaults_list)


def remember_joined(patch: pytest.MonkeyPatch) -> None:
    """The files of a list, joined."""
    join = ConfigLoaderImpl._compose_config_from_defaults_list
    known: dict[Any, bytes] = {}

    def compose(self: ConfigLoaderImpl, defaults: list[Any], repo: Any) -> DictConfig:
        own = places(repo)
        if own is None:
            return join(self, defaults, repo)
        files = [(d.config_path, d.parent, d.package, d.is_self, d.primary) for d in defaults]
        key = (own, *files)
        if key not in known:
            known[key] = dumps(join(self, defaults, repo))
        joined: DictConfig = loads(known[key])
        return joined

    patch.setattr(ConfigLoaderImpl, "_compose_config_from_defaults_list", compose)
