"""The five rows of the benchmark: which model, and how gan-train is asked for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

MNIST = "data=mnist"


@dataclass(frozen=True)
class Row:
    """One network and batch, for gan-train and for the textbook alike.

    Attributes:
        title: as the table shows it.
        train: gan-train's arguments, without where the data lie.
        batch: real images of a domain in a step.
        log_every: steps between two lines; gan-train's own 50 where steps are quick, fewer where
            a run of some seconds would not see two lines. Every line costs it time.
        lasts: length of a run, in multiples of what the others take.
    """

    title: str
    train: tuple[str, ...]
    batch: int = 64
    log_every: int = 50
    lasts: int = 1

    @property
    def on_mnist(self) -> bool:
        """Whether it wants MNIST; the other one makes its own photos."""
        return MNIST in self.train


ROWS: dict[str, Row] = {
    "mlp": Row("MLP GAN, 28 px, batch 64", ("model=vanilla", MNIST, "data.batch_size=64")),
    # Layers and widths of PyTorch-GAN's cgan.py (2.8 million parameters), but that the first layer
    # takes noise or image and label apart, and that G has no batch norm.
    "cgan": Row(
        "MLP cGAN, 32 px, batch 64",
        (
            "model=cgan",
            "model/backbone@model=mlp",
            MNIST,
            "data.image_size=32",
            "data.batch_size=64",
            "noise=normal",
            "model.mismatch_weight=0",
            "model.generator.noise_hidden=128",
            "model.generator.label_hidden=10",
            "model.generator.joint_hidden=[256,512,1024]",
            "model.generator.activation=leaky_relu",
            "model.discriminator.data_hidden=512",
            "model.discriminator.label_hidden=10",
            "model.discriminator.joint_hidden=[512,512]",
            "model.discriminator.activation=leaky_relu",
            "model.discriminator.maxout_pieces=null",
            "model.discriminator.joint_maxout_pieces=null",
            "model.discriminator.dropout=0.4",
        ),
    ),
    "dcgan32": Row(
        "DCGAN, 32 px, batch 64, upsampling",
        (
            "model=dcgan",
            MNIST,
            "data.image_size=32",
            "data.batch_size=64",
            "noise=normal",
            "model.generator.upsampling=nearest",
        ),
        log_every=5,
    ),
    "dcgan64": Row(
        "DCGAN, 64 px, batch 64 (pytorch/examples)", ("experiment=dcgan64", MNIST), log_every=2
    ),
    "cyclegan": Row(
        "CycleGAN, 128 px, 9 blocks, batch 1",
        (
            "model=cyclegan",
            "data=unpaired_folders",
            "data.image_size=128",
            "data.load_size=143",
            "model.generator.blocks=9",
        ),
        batch=1,
        log_every=2,
        lasts=2,
    ),
}


def composed(*overrides: str) -> dict[str, Any]:
    """The config that gan-train would train with, as plain containers."""
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    from gan_cli.settings.schema import config_dir, register_schemas

    register_schemas()
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        config = OmegaConf.to_container(compose("train", list(overrides)), resolve=True)
    assert isinstance(config, dict)
    return {str(key): value for key, value in config.items()}
