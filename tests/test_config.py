"""YAML, constructors, schema, check and help page say the same."""

import copy
import inspect
import re
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from gan_cli.cli import commands
from gan_cli.cli.app import OUTPUT_DIR
from gan_cli.cli.help import DEFAULTS as HELP_DEFAULTS
from gan_cli.errors import UserError
from gan_cli.settings.check import check
from gan_cli.settings.schema import RESUMABLE, SCHEMAS, config_dir, groups, register_schemas
from gan_cli.settings.targets import arguments, node_at, places, resolve
from gan_cli.settings.values import flatten

PICTURES = Path(__file__).parent.parent / "docs" / "pictures"
POINTS = Path(__file__).parent / "points.csv"  # of two coordinates and a class
OPTIONS = [(group, option) for group, options in groups().items() for option in options]


def composed(*overrides: str) -> dict[str, Any]:
    return copy.deepcopy(composed_once(overrides))


@cache
def composed_once(overrides: tuple[str, ...]) -> dict[str, Any]:
    register_schemas()
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        config = OmegaConf.to_container(compose("train", list(overrides)), resolve=True)
    assert isinstance(config, dict)
    return {str(key): value for key, value in config.items()}


@pytest.mark.parametrize(("group", "option"), OPTIONS)
def test_every_option_composes_and_passes_check(group: str, option: str) -> None:
    needed = [f"data.root={PICTURES}"] if option in ("image_folder", "dcgan64") else []
    needed += ["data.shards=faces.tar"] if option == "webdataset" else []
    if option == "huggingface":
        pytest.importorskip("datasets")
        needed += [f"data.path={PICTURES}"]
    needed += [f"data.file={POINTS}"] if option == "arrays" else []
    if group == "data" and composed(f"data={option}")["data"]["kind"] == "pairs":
        needed = ["model=cyclegan"]
    check(composed(f"{group}={option}", *needed), trusted=True)


def test_the_groups_of_the_contract_are_there() -> None:
    assert set(groups()) == {
        "model", "data", "noise", "loss", "optimizer", "schedule", "regularizer", "experiment",
    }  # fmt: skip


@pytest.mark.parametrize(("group", "option"), [o for o in OPTIONS if o[0] != "experiment"])
def test_yaml_and_constructor_cannot_drift_apart(group: str, option: str) -> None:
    config = composed(f"{group}={option}")
    keys = [key for key in places(config) if key.split(".")[0] == group]
    assert keys
    for key in keys:
        node, place = node_at(config, key), places(config)[key]
        target = resolve(node["_target_"], place, trusted=False)
        parameters = set(inspect.signature(target).parameters) - set(place.supplied)
        given = set(arguments(node, place))
        assert given <= parameters, key
        if target.__module__.startswith("gan_cli"):
            assert given == parameters, f"{key}: every argument has its value in the YAML"
    assert set(place.run_keys) <= set(node)


@pytest.mark.parametrize("name", list(SCHEMAS))
def test_yaml_and_schema_cannot_drift_apart(name: str) -> None:
    values = yaml.safe_load((config_dir() / f"{name}.yaml").read_text())
    keys = set(values) - {"defaults", "hydra"}
    group_keys = {next(iter(d)) for d in values["defaults"] if isinstance(d, dict)} & set(groups())
    assert keys | group_keys - {"experiment"} == {field.name for field in fields(SCHEMAS[name])}


def test_what_may_be_resumed_exists() -> None:
    known = set(flatten(composed("data=image_folder")))
    known |= set(flatten(composed("model=cyclegan", "data=unpaired_folders")))
    known |= set(flatten(composed("data=webdataset"))) | set(flatten(composed("data=arrays")))
    known |= set(flatten(composed("data=huggingface")))
    assert known >= RESUMABLE


def test_help_page_is_true() -> None:
    page = commands.train_help()
    for _, option in OPTIONS:
        assert re.search(rf"\b{option}\b", page)
    config = composed()
    for group, option in HELP_DEFAULTS.items():
        assert config[group] == composed(f"{group}={option}")[group]
        assert re.search(rf"{group}= +{option}\b", page)
    keys = re.findall(r"^  ([a-z_.]+)=[A-Z_]+  .*?(?:\((.+)\))?$", page, re.MULTILINE)
    assert len(keys) == 10
    flat = flatten(composed("data=mnist"))
    for key, default in keys:
        assert key in flat
        if re.fullmatch(r"[\d.]+|auto", default):
            assert str(flat[key]) == default
    assert all(key in flatten(composed("data=mnist")) for key in ("optimizer.lr_d", "data.root"))


@pytest.mark.parametrize(
    "page",
    [commands.train_help(), commands.SAMPLE_HELP, commands.TRANSLATE_HELP, commands.EXPORT_HELP],
)
def test_help_fits_a_terminal(page: str) -> None:
    assert max(map(len, page.splitlines())) <= 80


@pytest.mark.parametrize(
    ("name", "page"),
    [
        ("sample", commands.SAMPLE_HELP),
        ("translate", commands.TRANSLATE_HELP),
        ("export", commands.EXPORT_HELP),
    ],
)
def test_other_help_pages_are_true(name: str, page: str) -> None:
    values = yaml.safe_load((config_dir() / f"{name}.yaml").read_text())
    keys = re.findall(r"^  ([a-z_]+)(?:\.[a-z]+)?=[A-Z]+  ", page, re.MULTILINE)
    assert set(keys) == set(values) - {"defaults", "hydra", "debug"}


def test_all_problems_are_reported_together() -> None:
    config = composed(
        "k=0", "noise=uniform", "noise.dim=0", "noise.low=2", "steps=-5", "data.batch_size=0",
        "optimizer.lr=0", "model.generator.activation=relo", "model.discriminator.dropout=high",
        "device=cuda:99", "precision=fp8", "data.image_size=[8]", "seed=-1", "name='a/../b'",
    )  # fmt: skip
    with pytest.raises(UserError) as error:
        check(config, trusted=True)
    message = str(error.value)
    for part in (
        "k=0: must be at least 1", "noise.dim=0", "noise.low=2", "steps=-5", "data.batch_size=0",
        "optimizer.lr=0", "model.generator.activation=relo: must be one of relu",
        "model.discriminator.dropout=high: must be a number", "device=cuda:99", "precision=fp8",
        "data.image_size=[8]", "seed=-1", "name=a/../b",
    ):  # fmt: skip
        assert part in message


def test_network_problems_come_with_their_key() -> None:
    config = composed("model.generator.hidden=[8,0]", "model.discriminator.dropout_input=1.0")
    with pytest.raises(UserError) as error:
        check(config, trusted=True)
    assert "model.generator.hidden=[8,0]" in str(error.value)
    assert "model.discriminator.dropout_input=1.0" in str(error.value)


def test_unknown_and_missing_arguments() -> None:
    with pytest.raises(UserError) as error:
        check(composed("+noise.stdd=2", "k=0"), trusted=True)
    assert "noise.stdd=2: Normal has no such argument" in str(error.value)
    assert "Did you mean std?" in str(error.value)
    assert "k=0" in str(error.value)
    config = composed("~data.batch_size")
    del config["loss"]["_target_"], config["optimizer"]["lr_d"]
    config["noise"] = None
    with pytest.raises(UserError) as error:
        check(config, trusted=True)
    for part in ("data.batch_size: is", "optimizer.lr_d: is", "loss._target_: is", "noise: is"):
        assert part in str(error.value)


@pytest.mark.parametrize(
    ("override", "note"),
    [
        (["noise=spherical", "noise.dim=1"], "draws only -1 and +1"),
        (["schedule=cosine", "schedule.decay_steps=10", "steps=20"], "nothing is learned after"),
        (["deterministic=true", "device=cpu"], "no effect on the CPU"),
        (["optimizer.lr_d=1", "optimizer.lr_g=2", "optimizer.lr=3"], "optimizer.lr has no effect"),
        (["schedule=exponential_decay", "schedule.final_momentum=0.7"], "no momentum"),
        (["objective=divergence/jsd_bound"], "a weak D flatters it"),
        (["objective=value"], "a weak D flatters it"),
        (["objective=score/real"], "a weak D flatters it"),
    ],
)
def test_settings_without_effect_are_said(override: list[str], note: str) -> None:
    from_command_line = [text.partition("=")[0] for text in override]
    notes = check(composed(*override), trusted=True, from_command_line=from_command_line)
    assert any(note in text for text in notes)
    assert check(composed(), trusted=True) == []
    for measured in ("divergence/jsd", "value/refit_gap", "eval/frechet_classifier"):
        assert check(composed(f"objective={measured}"), trusted=True) == []


TARGETS = [
    "os.system",
    "torch.utils.collect_env.run",
    "torch.hub.load",
    "torch.load",
    "torch.utils.cpp_extension.load_inline",
    "torch.multiprocessing.spawn",
    "subprocess.Popen",
    "torch.nn.Linear",  # a class to be trusted, but no noise prior
    "gan_cli.losses.NonSaturating",
    "gan_cli.settings.targets.importlib.import_module",
    "nowhere.Nothing",
    "",
]


@pytest.mark.parametrize("target", TARGETS)
def test_only_fitting_classes_may_be_named(target: str) -> None:
    config = composed()
    config["noise"]["_target_"] = target
    for trusted in (True, False):
        with pytest.raises(UserError, match="_target_"):
            check(config, trusted=trusted)


def test_untrusted_modules_are_not_even_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bomb.py").write_text("raise SystemExit('ran')\n")
    config = composed()
    config["noise"]["_target_"] = "bomb.Noise"
    with pytest.raises(UserError, match="trust_checkpoint=true"):
        check(config, trusted=False)


def test_defaults() -> None:
    config = composed()
    assert config["output_dir"] == OUTPUT_DIR
    assert config["optimizer"]["lr"] == 0.001
    assert config["optimizer"]["betas"] == [0.5, 0.999]
    assert (composed("noise=uniform")["noise"]["low"], config["k"]) == (-1.0, 1)


@pytest.mark.parametrize("data", groups()["data"])
def test_steps_default_depends_on_the_data(data: str) -> None:
    table = composed()["model"]["steps"]
    assert composed(f"data={data}")["steps"] == table.get(data, table["other"])
    assert composed(f"data={data}", "steps=7")["steps"] == 7


def test_bad_items_of_lists_and_bad_optimizer_values_are_named() -> None:
    config = composed("model.generator.hidden=[8,x]", "optimizer.betas=[0.5,2]", "k=0")
    with pytest.raises(UserError) as error:
        check(config, trusted=True)
    for part in (
        "model.generator.hidden=[8,x]: must be",
        "optimizer.betas=[0.5,2]: both must lie",
        "k=0",
    ):
        assert part in str(error.value)


def test_networks_too_large_to_be_built_are_refused() -> None:
    with pytest.raises(UserError, match=r"model\.generator: too large"):
        check(composed("noise.dim=99999999999999999"), trusted=True)


def test_contradictions_are_refused() -> None:
    with pytest.raises(UserError, match=r"compile=true: performance=plain"):
        check(composed("compile=true", "performance=plain"), trusted=True)
    with pytest.raises(UserError, match=r"data\.kind=points"):
        check(composed("data.kind=points"), trusted=True)


def test_an_evaluation_that_never_comes_is_noted() -> None:
    beyond = check(composed("data=ring", "eval_every=20", "steps=10"), trusted=True)
    assert "eval_every=20 is beyond steps=10: nothing is evaluated." in beyond
    within = check(composed("data=ring", "eval_every=10", "steps=10"), trusted=True)
    assert not [note for note in within if "eval_every" in note]
