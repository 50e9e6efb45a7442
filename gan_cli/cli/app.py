"""Hydra apps that speak to people: a fast --help, and one message for each mistake.

Hydra is imported only when there is something to compose, and torch only by the task itself.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gan_cli import __version__
from gan_cli.cli import explain
from gan_cli.cli.sweep import plan as sweep
from gan_cli.errors import GanTrainError, UserError
from gan_cli.settings.schema import config_dir, register_schemas

if TYPE_CHECKING:
    from omegaconf import DictConfig

#: What runs: the resolved config and the keys given on the command line -> exit code.
Task = Callable[[dict[str, Any], list[str]], int]
OUTPUT_DIR = "outputs"  # as in configs/train.yaml; a sweep's folder is claimed before composing


@dataclass(frozen=True)
class App:
    """One console script.

    Attributes:
        name: as typed.
        config: name of its root config, without `.yaml`.
        help_page: makes the text of --help.
        task: runs with the composed config.
        sweeps: whether -m makes sense.
    """

    name: str
    config: str
    help_page: Callable[[], str]
    task: Task
    sweeps: bool = False

    def main(self) -> None:
        """Run the command line and exit."""
        let_waiting_threads_sleep()
        arguments = explain.choose_backbone(explain.flags_first(sys.argv[1:]))
        arguments = sys.argv[1:] = explain.for_resume(arguments)
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
            quiet = error.is_reported  # by another process of the same run
            return report(self.name, str(error), error.exit_code, debug=debug, quiet=quiet)
        except KeyboardInterrupt as error:
            code = getattr(error, "exit_code", 130)
            return report(self.name, str(error) or "stopped.", code, debug=debug)
        except Exception as error:
            if is_composition_error(error):
                message = explain.explain(self.config, error, arguments)
                quiet = os.environ.get("RANK", "0") != "0"  # rank 0 says the same
                return report(self.name, message, 2, debug=debug, quiet=quiet)
            if isinstance(error, OSError) and error.filename is not None:
                return report(self.name, f"{error.filename}: {error.strerror}.", 2, debug=debug)
            raise

    def _compose_and_run(self) -> int:
        # Hydra's own handler prints the first problem and exits 1; ours rewrites it.
        os.environ["HYDRA_FULL_ERROR"] = "1"
        register_schemas()
        explain.refuse_empty_groups(sys.argv[1:])
        if {"-m", "--multirun"} & set(sys.argv):
            if os.environ.get("WORLD_SIZE", "1") != "1":
                refusal = UserError("-m: a sweep is one process. Start each job under torchrun.")
                refusal.is_reported = os.environ.get("RANK", "0") != "0"
                raise refusal
            return self._sweep()
        codes: list[int] = []
        failures: list[Exception] = []

        def job(config: DictConfig) -> None:
            try:
                codes.append(self.task(self._plain(config), given_keys()))
            except Exception as error:  # noqa: BLE001  (Hydra would print a report of its own)
                failures.append(error)

        self._compose(job)
        if failures:
            raise failures[0]
        return max(codes, default=0)

    def _compose(self, job: Callable[[DictConfig], object]) -> None:
        """Let Hydra compose the config, once or for each job of a sweep, and call `job` with it."""
        import hydra

        hydra.main(version_base="1.3", config_path=str(config_dir()), config_name=self.config)(
            job
        )()

    def _sweep(self) -> int:
        if not self.sweeps:
            raise UserError(f"-m: {self.name} does not sweep; call it once for each.")
        plan = sweep.plan(sys.argv[1:], output_dir=OUTPUT_DIR)
        sys.argv[1:] = plan.arguments

        def say_error(job: str, error: Exception) -> None:
            report(self.name, f"{job}: {error}", debug=not isinstance(error, GanTrainError))

        def job(config: DictConfig) -> float | None:  # may run in another process
            from hydra.core.hydra_config import HydraConfig

            from gan_cli.system.terminal import Terminal

            say = Terminal().say
            job_config = HydraConfig.get()
            return sweep.run_job(
                self._plain(config),
                given_keys(),
                job_config,
                sweep=plan,
                task=self.task,
                say=say,
                report=say_error,
            )

        failed: list[sweep.Record] = []
        ended: Exception | None = None
        try:
            with sweep.Overview(plan):
                self._compose(job)
        except Exception as error:
            if is_composition_error(error) or isinstance(error, GanTrainError):
                raise
            ended = error  # a launcher or sweeper gave up; what the jobs did is kept
        finally:
            sweep.discard_if_unused(plan.folder)
            failed = sweep.finish(plan)
        if ended is not None and not failed:
            words = f"{plan.launcher} launcher, {plan.sweeper} sweeper"
            raise GanTrainError(f"the sweep cannot go on ({words}): {ended}") from ended
        if failed:
            names = ", ".join(f"{record.job} ({record.state})" for record in failed)
            raise GanTrainError(f"{len(failed)} of the sweep's jobs failed: {names}")
        return 0

    def _plain(self, config: DictConfig) -> dict[str, Any]:
        """The composed config as plain containers, with all keys that it needs."""
        from omegaconf import OmegaConf

        container = OmegaConf.to_container(config, resolve=True)
        assert isinstance(container, dict)
        plain = {str(key): value for key, value in container.items()}
        self._require_all_keys(plain)
        return plain

    def _require_all_keys(self, config: dict[str, Any]) -> None:
        known = explain.field_names(self.config)
        for key in config:
            if key not in known:
                raise UserError(f"{key}: no such key. {explain.choices(key, known)}")
        missing = [key for key in known if config.get(key, "???") == "???"]
        if missing:
            key = missing[0]
            raise UserError(f"{key}: is missing. Usage: {self.name} {key}=... (see --help)")


def report(name: str, message: str, code: int = 1, *, debug: bool, quiet: bool = False) -> int:
    """Print an error, with its traceback if asked for; nothing if `quiet`."""
    if debug:
        traceback.print_exc()
    if not quiet:
        print(f"{name}: {message}", file=sys.stderr)  # noqa: T201
    return code


def is_composition_error(error: Exception) -> bool:
    """Whether Hydra or OmegaConf refused the command line or a config file."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    if isinstance(error, HydraException | OmegaConfBaseException | YAMLError):
        return True
    trace = error.__traceback__  # some odd overrides make Hydra itself stumble
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and trace.tb_frame.f_globals.get("__name__", "").startswith("hydra.")


def given_keys() -> list[str]:
    """The keys that the command line of the job that runs now names, without `+`, `~` and `@`."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.core.override_parser.overrides_parser import OverridesParser

    parsed = OverridesParser.create().parse_overrides(list(HydraConfig.get().overrides.task))
    return [str(override.key_or_group) for override in parsed]


def let_waiting_threads_sleep() -> None:
    """Tell GNU OpenMP, before torch is imported, to let threads sleep after 1 ms of waiting.

    They wait for each other some hundred times a step, spinning for up to 15 ms. Where other
    programs want the cores too, that made steps 5 to 60 times as long.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "20000")
