"""Hydra apps that speak to people: a fast --help, and one message for each mistake.

Hydra is imported only when there is something to compose, and torch only by the task itself.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from gan_cli import __version__
from gan_cli.config import SCHEMAS, config_dir, groups, register_schemas, split_arguments
from gan_cli.errors import GanTrainError, UserError, nearest
from gan_cli.shell import hydra_value

#: What runs: the resolved config and the keys given on the command line -> exit code.
Task = Callable[[dict[str, Any], list[str]], int]
OUTPUT_DIR = "outputs"  # as in configs/train.yaml; a sweep's folder is claimed before composing
TYPES = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "text",
}


@dataclass(frozen=True)
class App:
    """One console script.

    Attributes:
        name: as typed.
        config: name of its root config, without `.yaml`.
        help_page: makes the text of --help.
        task: runs with the composed config.
    """

    name: str
    config: str
    help_page: Callable[[], str]
    task: Task

    def main(self) -> None:
        """Run the command line and exit."""
        arguments = sys.argv[1:] = for_resume(sys.argv[1:])
        if {"-h", "--help"} & set(arguments):
            print(self.help_page())  # noqa: T201
            sys.exit(0)
        if "--version" in arguments:
            print(f"{self.name} {__version__}")  # noqa: T201
            sys.exit(0)
        sys.exit(self._run(arguments))

    def _run(self, arguments: list[str]) -> int:
        """Compose and run; every expected failure becomes one message and an exit code."""
        debug = "debug=true" in [argument.lower() for argument in arguments]
        try:
            return self._compose_and_run()
        except GanTrainError as error:
            return report(self.name, str(error), error.exit_code, debug=debug)
        except KeyboardInterrupt as error:
            code = getattr(error, "exit_code", 130)
            return report(self.name, str(error) or "stopped.", code, debug=debug)
        except Exception as error:
            if is_composition_error(error):
                message = explain(self.config, error, arguments)
                return report(self.name, message, 2, debug=debug)
            raise

    def _compose_and_run(self) -> int:
        import hydra
        from hydra.core.hydra_config import HydraConfig
        from omegaconf import DictConfig, OmegaConf

        # Hydra's own handler prints the first problem and exits 1; ours rewrites it.
        os.environ["HYDRA_FULL_ERROR"] = "1"
        register_schemas()
        codes: list[int] = []
        failures: list[Exception] = []
        sweeping = bool({"-m", "--multirun"} & set(sys.argv))
        if sweeping:
            from gan_cli import sweep

            sys.argv[1:] = sweep.sweep_arguments(sys.argv[1:], output_dir=OUTPUT_DIR)

        def job(config: DictConfig) -> None:
            try:
                container = OmegaConf.to_container(config, resolve=True)
                assert isinstance(container, dict)
                plain = {str(key): value for key, value in container.items()}
                self._require_all_keys(plain)
                if sweeping:
                    plain["name"] = sweep.job_name(HydraConfig.get())
                codes.append(self.task(plain, given_keys(HydraConfig.get().overrides.task)))
            except Exception as error:  # noqa: BLE001
                # Kept for below: Hydra would print a report of its own, and end a sweep.
                failures.append(error)
                if sweeping:
                    report(self.name, f"{plain['name']}: {error}", 1, debug=plain["debug"])
                    if not isinstance(error, GanTrainError):
                        traceback.print_exc()

        hydra.main(version_base="1.3", config_path=str(config_dir()), config_name=self.config)(
            job
        )()
        if sweeping and failures:
            jobs = len(failures) + len(codes)
            raise GanTrainError(f"{len(failures)} of {jobs} jobs of the sweep failed, see above.")
        if failures:
            raise failures[0]
        return max(codes, default=0)

    def _require_all_keys(self, config: dict[str, Any]) -> None:
        known = field_names(self.config)
        for key in config:
            if key not in known:
                raise UserError(f"{key}: no such key. {choices(key, known)}")
        missing = [key for key in known if config.get(key, "???") == "???"]
        if missing:
            key = missing[0]
            raise UserError(f"{key}: is missing. Usage: {self.name} {key}=... (see --help)")


def for_resume(arguments: list[str]) -> list[str]:
    """Let keys inside groups be given on resume, when the groups come from the checkpoint.

    `data.root=x` would be refused, because the default data set has no root; `++` sets it anyway.
    Whether a key may be given at all on resume is judged later, with the run at hand.
    """
    resume = [text for text in arguments if text.startswith("resume=") and text != "resume=auto"]
    if not resume:
        return arguments
    inside_group = re.compile(r"(?!hydra\.)[a-z_]+\.[\w.]+=")
    return [f"++{text}" if inside_group.match(text) else text for text in arguments]


def report(name: str, message: str, code: int, *, debug: bool) -> int:
    """Print an error, with its traceback if asked for."""
    if debug:
        traceback.print_exc()
    print(f"{name}: {message}", file=sys.stderr)  # noqa: T201
    return code


def is_composition_error(error: Exception) -> bool:
    """Whether Hydra or OmegaConf refused the command line or a config file."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    return isinstance(error, HydraException | OmegaConfBaseException | YAMLError)


def is_out_of_memory(error: Exception) -> bool:
    """Whether the machine or the GPU ran out of memory."""
    text = str(error)
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError)
        and ("out of memory" in text or "can't allocate memory" in text)
    )


def given_keys(overrides: Iterable[str]) -> list[str]:
    """The keys that a list of overrides names, without `+`, `~` and `@package`."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    parsed = OverridesParser.create().parse_overrides(list(overrides))
    return [str(override.key_or_group) for override in parsed]


def explain(config_name: str, error: Exception, arguments: list[str]) -> str:
    """Hydra's first problem in our words: the key, the value, and what would work."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    overrides, own = split_arguments(arguments)
    options = groups()
    for group, found in (groups(Path(own)) if own and Path(own).is_dir() else {}).items():
        options[group] = sorted({*options.get(group, []), *found})
    for text in overrides:
        key, equals, value = text.partition("=")
        name = key.lstrip("+~").split("@")[0]
        try:
            parsed = OverridesParser.create().parse_override(text)
        except HydraException:
            return explain_syntax(key, equals, value, [*options, *field_names(config_name)])
        if parsed.is_sweep_override() and "Ambiguous value" in str(error):
            quoted = shlex.quote(f"{key}={hydra_value(value)}")
            return (
                f"{text}: a comma makes a sweep. Add -m to sweep, write [{value}] for a list, "
                f"or quote it as text: {quoted}"
            )
        if name in options and value not in options[name] and f"'{name}/{value}'" in str(error):
            return f"{text}: no such option. {choices(value, options[name])}"
        if name not in options and "." not in name and name not in field_names(config_name):
            known = [*options, *field_names(config_name)]
            return f"{key}: no such key. {choices(name, known)}"
        kind = field_type(config_name, name)
        if kind and "rror merging override" in str(error) and text in str(error):
            return f"{text}: must be {kind}"
    return explain_nested(config_name, error, overrides)


def explain_nested(config_name: str, error: Exception, overrides: list[str]) -> str:
    """A key inside a group that is not there, or Hydra's own words for all else."""
    for text in overrides:
        key = text.partition("=")[0].lstrip("+~")
        if "." in key and f"'{key}'" in str(error):
            known = sorted(composed_keys(config_name, overrides))
            return f"{key}: no such key. {choices(key, known)}"
    lines = [str(error), str(error.__cause__ or "")]
    return " ".join(" ".join(lines).split())


def explain_syntax(key: str, equals: str, value: str, known: list[str]) -> str:
    """An argument that Hydra's grammar cannot read."""
    if not equals:
        match = nearest(key, known)
        hint = f" Did you mean {match}=...?" if match else ""
        return f"{key}: not of the form key=value.{hint}"
    quoted = shlex.quote(f"{key}={hydra_value(value)}")
    return (
        f"{key}={value}: cannot be read, because Hydra gives some characters in it a meaning. "
        f"Quote it twice, for the shell and for Hydra:\n  {quoted}"
    )


def composed_keys(config_name: str, overrides: list[str]) -> set[str]:
    """All dotted keys of the config with the groups chosen as in `overrides`, as far as valid."""
    from hydra import compose, initialize_config_dir

    options = groups()
    pairs = [text.partition("=") for text in overrides]
    chosen = [f"{key}={value}" for key, _, value in pairs if value in options.get(key, [])]
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        return set(_dotted(compose(config_name, chosen)))


def _dotted(node: Any, prefix: str = "") -> Iterable[str]:
    for key in node:
        full = f"{prefix}{key}"
        yield full
        child = node._get_node(key)
        if hasattr(child, "keys"):
            yield from _dotted(child, f"{full}.")


def choices(word: str, known: list[str]) -> str:
    """`Did you mean ...?` and, where it is short, the whole list."""
    match = nearest(word, known)
    hint = f"Did you mean {match}? " if match else ""
    return f"{hint}There are: {', '.join(known)}" if len(known) <= 40 else hint.strip()


def field_names(config_name: str) -> list[str]:
    """Keys at the root of a command's config."""
    return [field.name for field in fields(SCHEMAS[config_name])]


def field_type(config_name: str, name: str) -> str | None:
    """What a root key's value must be, in words."""
    for field in fields(SCHEMAS[config_name]):
        if field.name == name:
            parts = [part.strip() for part in str(field.type).split("|")]
            words = [TYPES.get(part, part) for part in parts if part != "None"]
            return " or ".join(words) + (", or null" if "None" in parts else "")
    return None
