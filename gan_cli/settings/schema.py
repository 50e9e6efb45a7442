"""Typed schemas of the commands' configs; importing this costs no torch.

Types are here, values in `configs/*.yaml`, meaning in `check`. The groups are nodes with a
`_target_`, which are compared with that class's constructor instead.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

# Hydra's mark for "set in the YAML"; importing it from omegaconf would cost --help 30 ms.
MISSING: Any = "???"

#: A choice of networks inside a model's own config: as people type it, and as Hydra's group.
BACKBONE, BACKBONE_GROUP = "model.backbone", "model/backbone@model"
#: Which values of the objective are good.
DIRECTIONS = ("minimize", "maximize")
#: What a resumed run may change; anything else would make it another run.
RESUMABLE = frozenset(
    {
        "steps",
        "max_minutes",
        "patience",
        "log_every",
        "sample_every",
        "eval_every",
        "checkpoint_every",
        "checkpoint_minutes",
        "keep_last",
        "keep_every",
        "device",
        "threads",
        "data.root",
        "data.a",
        "data.b",
        "data.shards",
        "data.file",
        "data.path",
        "data.workers",
        "trust_checkpoint",
        "inception",
        "report",
        "debug",
    }
)
#: Root keys of all commands that hold a path, in which `~` is the user's home.
PATHS = ("output_dir", "run", "out", "input", "output", "resume", "init_from", "inception")


@dataclass
class EmaConfig:
    """Average of G's weights."""

    decay: float = MISSING
    ramp_up: bool = MISSING


@dataclass
class TrainConfig:
    """Root of `configs/train.yaml`."""

    model: Any = MISSING
    data: Any = MISSING
    noise: Any = MISSING
    loss: Any = MISSING
    optimizer: Any = MISSING
    schedule: Any = MISSING
    regularizer: Any = MISSING
    k: int = MISSING
    g_moves: int = MISSING
    steps: int = MISSING
    max_minutes: float | None = MISSING
    patience: int | None = MISSING
    seed: int = MISSING
    ema: EmaConfig = field(default_factory=EmaConfig)
    accumulate: int = MISSING
    max_grad_norm: float | None = MISSING
    device: str = MISSING
    threads: int | None = MISSING
    precision: str = MISSING
    deterministic: bool = MISSING
    performance: str = MISSING
    compile: bool = MISSING
    sync_batch_norm: bool = MISSING
    log_every: int = MISSING
    sample_every: int = MISSING
    eval_every: int = MISSING
    checkpoint_every: int = MISSING
    checkpoint_minutes: float | None = MISSING
    keep_last: int = MISSING
    keep_every: int = MISSING
    eval_metrics: Any = MISSING
    eval_samples: int = MISSING
    inception: str | None = MISSING
    objective: str | None = MISSING
    direction: str = MISSING
    report: bool = MISSING
    output_dir: str = MISSING
    name: str | None = MISSING
    resume: str | None = MISSING
    init_from: str | None = MISSING
    trust_checkpoint: bool = MISSING
    dry_run: bool = MISSING
    debug: bool = MISSING


@dataclass
class DataRoot:
    """Where data files are, if they have moved since training."""

    root: str | None = MISSING
    file: str | None = MISSING
    path: str | None = MISSING


@dataclass
class SampleConfig:
    """Root of `configs/sample.yaml`."""

    run: str = MISSING
    mode: str = MISSING
    n: int | None = MISSING
    seed: Any = MISSING
    labels: Any = MISSING
    a: list[int] | None = MISSING
    b: list[int] | None = MISSING
    c: list[int] | None = MISSING
    attribute: str | None = MISSING
    interpolation: str | None = MISSING
    input: str | None = MISSING
    starts: int | None = MISSING
    steps: int | None = MISSING
    network: str | None = MISSING
    layer: int | None = MISSING
    data: DataRoot = field(default_factory=DataRoot)
    out: str | None = MISSING
    device: str = MISSING
    trust_checkpoint: bool = MISSING
    debug: bool = MISSING


@dataclass
class TranslateConfig:
    """Root of `configs/translate.yaml`."""

    run: str = MISSING
    input: str = MISSING
    output: str = MISSING
    direction: str = MISSING
    side_by_side: bool = MISSING
    device: str = MISSING
    trust_checkpoint: bool = MISSING
    debug: bool = MISSING


@dataclass
class DataPlace:
    """Where data files are, if they have moved since training."""

    root: str | None = MISSING
    a: str | None = MISSING
    b: str | None = MISSING
    file: str | None = MISSING
    path: str | None = MISSING


@dataclass
class EvaluateConfig:
    """Root of `configs/evaluate.yaml`."""

    run: str = MISSING
    metrics: Any = MISSING
    n: int = MISSING
    seed: int = MISSING
    inception: str | None = MISSING
    data: DataPlace = field(default_factory=DataPlace)
    out: str | None = MISSING
    device: str = MISSING
    trust_checkpoint: bool = MISSING
    debug: bool = MISSING


@dataclass
class ReportConfig:
    """Root of `configs/report.yaml`."""

    run: str | None = MISSING
    runs: list[str] | None = MISSING
    out: str | None = MISSING
    watch: bool = MISSING
    debug: bool = MISSING


@dataclass
class ExportConfig:
    """Root of `configs/export.yaml`."""

    run: str = MISSING
    out: str = MISSING
    format: str = MISSING
    pixels: str = MISSING
    license: str | None = MISSING
    trust_checkpoint: bool = MISSING
    debug: bool = MISSING


@dataclass
class ClaimsConfig:
    """Root of `configs/claims.yaml`."""

    claims: Any = MISSING
    seed: int = MISSING
    jobs: int = MISSING
    fast: bool = MISSING
    out: str = MISSING
    debug: bool = MISSING


SCHEMAS = {
    "train": TrainConfig,
    "sample": SampleConfig,
    "translate": TranslateConfig,
    "evaluate": EvaluateConfig,
    "report": ReportConfig,
    "export": ExportConfig,
    "claims": ClaimsConfig,
}


def config_dir() -> Path:
    """The folder of configs: inside an installed package, else beside it in a checkout."""
    inside = Path(__file__).resolve().parent.parent / "configs"
    return inside if inside.is_dir() else inside.parent.parent / "configs"


def groups(folder: Path | None = None) -> dict[str, list[str]]:
    """Config groups and their options, read from the files."""
    folder = folder or config_dir()
    return {
        group.name: sorted(file.stem for file in group.glob("*.yaml"))
        for group in sorted(folder.iterdir())
        if group.is_dir()
    }


def models_with_backbones() -> list[str]:
    """Models whose networks are an option of their own, `backbone@model` in their defaults list."""
    files = sorted((config_dir() / "model").glob("*.yaml"))
    return [file.stem for file in files if "- backbone@model:" in file.read_text(encoding="utf-8")]


@cache
def register_schemas() -> None:
    """Let Hydra find the schemas, and what values are computed by, under the YAML files' names."""
    from hydra.core.config_store import ConfigStore
    from omegaconf import OmegaConf

    for name, schema in SCHEMAS.items():
        ConfigStore.instance().store(name=f"{name}_schema", node=schema)
    OmegaConf.register_new_resolver("kind_of_file", kind_of_file, replace=True)


def kind_of_file(file: object, samples: object) -> str:
    """What a file of arrays holds: `images` or `points`; importing what reads it takes a second."""
    if file is None:
        return "points"
    from gan_cli.data.arrays import kind_of_file as read_kind

    return read_kind(file, samples)


def split_arguments(arguments: list[str]) -> tuple[list[str], str | None]:
    """The overrides on a command line, and the value of --config-dir."""
    from hydra._internal.utils import get_args_parser

    parsed = get_args_parser().parse_args(arguments)
    return list(parsed.overrides), parsed.config_dir
