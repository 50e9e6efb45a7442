"""What TensorBoard shows of a run: curves, pictures, the settings that matter, the whole config."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from textwrap import dedent

import pytest
import yaml
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar.layout_pb2 import Layout
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from gan_cli.runs.summary import tensorboard_settings
from gan_cli.settings.defaults import changed, changed_options
from tests.conftest import Cli
from tests.test_config import composed

SMALL = (
    "data.batch_size=50", "log_every=3", "sample_every=4", "checkpoint_every=5", "noise=uniform",
    "noise.dim=7", "regularizer=r1", "steps=8", "threads=1", "name=mine",
    "objective=divergence/jsd_bound",
)  # fmt: skip
TEXT = "config/text_summary"


def events_of(run: Path) -> EventAccumulator:
    events = EventAccumulator(str(run))
    events.Reload()
    return events


def hparams_of(events: EventAccumulator, part: str) -> HParamsPluginData:
    metadata = events.summary_metadata[f"_hparams_/{part}"]
    return HParamsPluginData.FromString(metadata.plugin_data.content)


def layout_of(events: EventAccumulator) -> Layout:
    newest = events.Tensors("custom_scalars__config__")[-1]
    return Layout.FromString(newest.tensor_proto.string_val[0])


def configs_of(events: EventAccumulator) -> dict[int, str]:
    """The texts as written, by step."""
    return {event.step: event.tensor_proto.string_val[0].decode() for event in events.Tensors(TEXT)}


def test_it_shows_what_differs_the_whole_config_and_losses_first(cli: Cli) -> None:
    result = cli(*SMALL)
    assert result.code == 0, result.err
    events = events_of(Path("outputs/mine"))
    images = events.Images("samples")
    assert [image.step for image in images] == [0, 4, 8]
    for image in images:
        file = Path(f"outputs/mine/samples/step_{image.step:08d}.png")
        assert image.encoded_image_string == file.read_bytes()
        with Image.open(file) as picture:
            assert picture.size == (image.width, image.height)
            assert picture.mode == "RGB"
    assert events.Scalars("loss/d")[-1].step == 6

    shown = hparams_of(events, "session_start_info").session_start_info.hparams
    assert {key: value.string_value or value.number_value for key, value in shown.items()} == {
        "model": "vanilla", "data": "digits", "noise": "uniform", "noise.dim": 7,
        "regularizer": "[r1]", "data.batch_size": 50,
    }  # fmt: skip
    metrics = [info.name.tag for info in hparams_of(events, "experiment").experiment.metric_infos]
    assert metrics == ["loss/d", "loss/g", "prob/real", "prob/fake", "divergence/jsd_bound"]

    (text,) = configs_of(events).values()
    config = yaml.safe_load(Path("outputs/mine/config.yaml").read_text())
    assert yaml.safe_load(dedent(text)) == config
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from tensorboard.plugin_util import markdown_to_safe_html
    html = markdown_to_safe_html(text)  # as the TEXT tab shows it
    assert html.startswith("<pre><code>model:\n")
    assert html.count("<pre>") == 1

    categories = layout_of(events).category
    assert [category.title for category in categories] == ["loss", "prob"]
    scalars = events.Tags()["scalars"]
    for category in categories:
        (pattern,) = category.chart[0].multiline.tag
        matching = {key for key in scalars if re.match(pattern, key)}
        assert matching == {key for key in scalars if key.startswith(f"{category.title}/")}
        assert len(matching) >= 2


def test_a_loss_without_probabilities_shows_scores_and_a_resumed_run_its_new_config(
    cli: Cli,
) -> None:
    assert cli(*SMALL, "loss=hinge").code == 0
    assert cli("resume=outputs/mine", "steps=10", "keep_last=7").code == 0
    events = events_of(Path("outputs/mine"))
    titles = [category.title for category in layout_of(events).category]
    assert titles == ["loss", "score"]
    texts = configs_of(events)
    assert {step: yaml.safe_load(dedent(text))["keep_last"] for step, text in texts.items()} == {
        0: 3, 8: 7,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ([], {"model": "vanilla", "data": "digits"}),
        # Widths of the networks follow model.width; the recipe's prior is DCGAN's own.
        (["model=dcgan", "model.width=8"], {"model": "dcgan", "data": "digits", "model.width": 8}),
        (["model=dcgan", "model.width=8", "model.discriminator.width=4", "noise=normal"],
         {"model": "dcgan", "data": "digits", "noise": "normal", "model.width": 8,
          "model.discriminator.width": 4}),
        (["model=cgan", "model/backbone@model=mlp", "loss=hinge", "optimizer.lr_d=0.1"],
         {"model": "cgan", "data": "digits", "loss": "hinge", "model.backbone": "mlp",
          "optimizer.lr_d": 0.1}),
        (["regularizer=[r1,diffaugment]", "regularizer.r1.weight=3", "k=2", "seed=5"],
         {"model": "vanilla", "data": "digits", "regularizer": "[r1,diffaugment]",
          "regularizer.r1.weight": 3, "k": 2, "seed": 5}),
        (["data=ring", "model.generator.hidden=[8]", "model.discriminator.activation=tanh"],
         {"model": "vanilla", "data": "ring", "model.generator.hidden": "[8]",
          "model.discriminator.activation": "tanh"}),
        # What a resumed run may change says nothing of what was trained.
        (["steps=3", "log_every=7", "threads=1", "name=x"], {"model": "vanilla", "data": "digits"}),
        # Classes that are no option of ours are shown by name.
        (["optimizer._target_=torch.optim.AdamW"],
         {"model": "vanilla", "data": "digits", "optimizer": "AdamW"}),
        (["experiment=cyclegan_digits", "steps=10"],
         {"model": "cyclegan", "data": "digit_domains", "model.width": 16,
          "model.generator.blocks": 2, "model.discriminator.layers": 2, "data.image_size": 16,
          "data.batch_size": 8, "schedule.constant_steps": 2000, "schedule.decay_steps": 2000}),
    ],
)  # fmt: skip
def test_settings_are_what_differs_from_the_defaults(
    overrides: list[str], expected: dict[str, object]
) -> None:
    assert tensorboard_settings(composed(*overrides)) == expected


def test_a_config_of_files_that_are_not_ours_is_shown_as_far_as_it_differs() -> None:
    config = composed("noise.dim=3")
    config["model"] |= {"name": "mine", "_target_": "my.Game"}
    config["data"]["name"] = "pets"
    config["steps"] = config["model"]["steps"]["other"]
    assert changed_options(config) == {}
    assert changed(config) == {
        "model.name": "mine", "model._target_": "my.Game", "data.name": "pets", "noise.dim": 3,
    }  # fmt: skip
