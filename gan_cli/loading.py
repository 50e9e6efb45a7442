"""`gan_cli.load`: the generators of a trained run, ready for use; and the data of the run."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gan_cli.data.base import Dataset
from gan_cli.data.labels import Labels, numbers_of, require_floats, whole
from gan_cli.errors import (
    Problem,
    SettingsError,
    UserError,
    choice_problems,
    printable,
)
from gan_cli.evaluation.reference import Reference, at_hand
from gan_cli.games.base import Game
from gan_cli.games.from_noise import FromNoise
from gan_cli.games.translating import DIRECTIONS, Direction, Translating
from gan_cli.runs.directory import is_run, read_checkpoint
from gan_cli.runs.places import FOLDER, find_data
from gan_cli.settings.build import build_game, load_data
from gan_cli.settings.stored import typed
from gan_cli.settings.targets import vet_targets
from gan_cli.settings.trust import (
    load_without_download,
    path_notes,
    require_known_places,
    without_download,
)
from gan_cli.spec import AnySpec, DataSpec, spec_from
from gan_cli.system.device import resolve_device
from gan_cli.system.progress import LoadingBar
from gan_cli.system.shell import expand_home
from gan_cli.system.terminal import Terminal


class CheckpointWarning(UserWarning):
    """A newer checkpoint could not be used."""


@dataclass(frozen=True)
class TrainedModel:
    """A generator as a checkpoint holds it; with its averaged weights, if the run kept them.

    Attributes:
        game: the networks, in evaluation mode.
        spec: what their data are.
        step: finished steps.
        config: what was trained.
        directory: the run directory.
        folder: where relative paths in the config begin; None: not known.
    """

    game: Game[Any]
    spec: AnySpec
    step: int
    config: dict[str, Any]
    directory: Path
    folder: str | None = None

    def sample(self, n: int, labels: Labels | None = None, seed: int = 0) -> Tensor:
        """Draw n samples, float32 (n, *shape) on the CPU, in the data's range (`spec`).

        Points are in the data's own units, also if networks saw them standardised.

        Args:
            n: how many, at least 1.
            labels: for conditional models, numbers or names: one for all samples, or several that
                are repeated in turn; None: all classes in turn.
            seed: equal seeds give equal samples; sample i does not depend on n.

        Raises:
            TypeError: n, a label or the seed is of another type.
            ValueError: n is below 1, the seed below 0, a label does not exist, or the model takes
                none.
        """
        n, seed = whole("n", n, least=1), whole("seed", seed, least=0)
        return self.map_noise(self.sampler.draw_noise(n, seed=seed), labels)

    @property
    def sampler(self) -> FromNoise:
        """The game, if it makes data from noise.

        Raises:
            ValueError: it does not.
        """
        if not isinstance(self.game, FromNoise):
            name = self.config["model"]["name"]
            raise ValueError(f"model={name} draws no samples: use .translate, or gan-translate")
        return self.game

    @property
    def translator(self) -> Translating:
        """The game, if it translates between domains.

        Raises:
            ValueError: it does not.
        """
        if not isinstance(self.game, Translating):
            name = self.config["model"]["name"]
            raise ValueError(f"model={name} does not translate: use .sample, or gan-sample")
        return self.game

    def translate(self, images: Tensor, direction: Direction) -> Tensor:
        """Translate images from one domain to the other, float32 (n, C, H, W) on the CPU.

        Args:
            images: (n, C, H, W) in the range of the domain they come from (`spec.a`, `spec.b`);
                sides as `translator.side_rule()` says.
            direction: `a2b` or `b2a`.

        Raises:
            TypeError: the images are no tensor of floating-point numbers.
            ValueError: the model does not translate, or images or direction do not fit.
        """
        game = self.translator
        require_floats("images", images)
        if problems := choice_problems("direction", direction, DIRECTIONS):
            raise SettingsError(problems)
        multiple, smallest = game.side_rule()
        sides_fit = images.dim() == 4 and all(
            side >= smallest and side % multiple == 0 for side in images.shape[2:]
        )
        channels = game.source_of(direction).shape[0]
        if not sides_fit or images.shape[1] != channels:
            raise ValueError(
                f"images: are {tuple(images.shape)}, but must be (n, {channels}, H, W) with "
                f"sides that are multiples of {multiple}, at least {smallest}"
            )
        device = next(game.generators.parameters()).device
        return game.translate(images.to(device), direction).cpu()

    def map_noise(self, z: Tensor, labels: Labels | None = None) -> Tensor:
        """G(z), float32 (n, *shape) on the CPU, for z of your own, (n, dim); labels as above.

        Raises:
            TypeError: z is no tensor of floating-point numbers, or as for `sample`.
            ValueError: z is of another dimension, or as for `sample`.
        """
        game = self.sampler
        require_floats("z", z)
        dim = game.noise.dim
        if z.dim() != 2 or z.shape[1] != dim:
            raise ValueError(f"z: is {tuple(z.shape)}, but must be (n, {dim})")
        numbers = self.label_numbers(labels)
        y = None
        if numbers is not None:
            y = torch.tensor(numbers)[torch.arange(len(z)) % len(numbers)]
        device = game.fixed_noise.device
        x = game.map_noise(z.to(device), None if y is None else y.to(device)).cpu()
        return game.spec.in_own_units(x).to(x.dtype)

    def label_numbers(self, labels: Labels | None) -> list[int] | None:
        """Labels as numbers; None if the model takes none.

        Raises:
            TypeError: a label is neither a whole number nor a name.
            ValueError: a label does not exist, or labels are given to a model that takes none.
        """
        if not self.sampler.conditional:
            if labels is not None:
                advice = f"model={self.config['model']['name']} takes none"
                raise SettingsError([Problem("labels", labels, advice)])
            return None
        if labels is None:
            return list(range(self.sampler.spec.classes))
        return numbers_of(labels, self.sampler.spec)


def load_run(run: str | Path, *, device: str, trust_checkpoint: bool) -> TrainedModel:
    """See `gan_cli.load`."""
    if not isinstance(run, str | Path):
        raise TypeError(f"run={run!r}: is of type {type(run).__name__}, but must be a path")
    source = Path(str(expand_home(str(run))))
    path, state, messages = read_checkpoint(source, key="run")
    for message in messages:
        warnings.warn(printable(message), CheckpointWarning, stacklevel=3)
    directory = path
    if path.is_file():
        folder = path.resolve().parent
        directory = folder.parent if is_run(folder.parent) else folder
    config = typed(state["config"], path)
    vet_targets(config, trusted=trust_checkpoint)
    try:
        place = resolve_device(str(device))
    except ValueError as error:
        raise UserError(str(error)) from error
    try:
        spec = spec_from(state["spec"])
        with torch.random.fork_rng(devices=[]):  # the caller's random numbers are theirs
            game = build_game(config, spec, place)
        game.load_networks(state["session"]["game"])
    except (ValueError, TypeError, LookupError, AttributeError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise UserError(Problem("run", run, f"does not fit its own config ({reason}).")) from error
    folder = state["environment"].get(FOLDER)
    return TrainedModel(game.eval(), spec, state["step"], config, directory, folder)


def open_run(config: Mapping[str, Any], terminal: Terminal) -> TrainedModel:
    """Load the run that a command's config names, and say which checkpoints were passed over.

    Raises:
        UserError: it holds no checkpoint that can be used.
    """
    with warnings.catch_warnings(record=True) as passed_over:
        warnings.simplefilter("always", CheckpointWarning)
        model = load_run(
            config["run"], device=config["device"], trust_checkpoint=config["trust_checkpoint"]
        )
    for warning in passed_over:
        terminal.say(f"note: {warning.message}")
    return model


def open_reference(config: Mapping[str, Any], model: TrainedModel, terminal: Terminal) -> Reference:
    """The real data of a run, read from where they lie now.

    Args:
        config: of a command: `data` (where files lie now), `trust_checkpoint`, `n` (images to take
            of shards), `device` and `inception`.
        model: the run.
        terminal: gets notes on what is read.

    Raises:
        UserError: they cannot be read.
    """
    places = places_of_data(config, model)
    trained_on = {**model.config, "data": {**model.config["data"], **places}}
    progress, named = LoadingBar(), {f"data.{key}" for key in places}
    trained_on, notes = find_data(trained_on, model.folder, given=sorted(named))
    if config["trust_checkpoint"]:
        loaded = load_data(trained_on, progress=progress)
    else:
        require_known_places(trained_on, named)
        notes = [*notes, *path_notes(trained_on, named)]
        load = load_data if "data.root" in named else load_without_download
        loaded = load(trained_on, progress=progress)
        trained_on = trained_on if "data.root" in named else without_download(trained_on)
    for note in notes:
        terminal.say(f"note: {note}")
    dataset = at_hand(loaded, config["n"], progress)
    if isinstance(dataset, Dataset) and isinstance(model.spec, DataSpec):
        dataset = dataset.scaled_like(model.spec)  # not as files that changed since would be
    if dataset is not loaded:
        for note in dataset.notes:
            terminal.say(f"note: {note}")
    return Reference(
        trained_on,
        dataset,
        device=resolve_device(config["device"]),
        inception=config["inception"],
        progress=progress,
    )


def places_of_data(config: Mapping[str, Any], model: TrainedModel) -> dict[str, Any]:
    """Where data lie now, by the keys that the run's data have.

    Raises:
        UserError: they do not have such a key.
    """
    places = {key: value for key, value in config["data"].items() if value is not None}
    name = model.config["data"]["name"]
    problems = [
        Problem(f"data.{key}", value, f"data={name} has no such key")
        for key, value in places.items()
        if key not in model.config["data"]
    ]
    if problems:
        raise UserError(problems)
    return places
