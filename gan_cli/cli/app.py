"""Hydra apps that speak to people: a fast --help, and one message for each mistake.

Hydra is imported only when there is something to compose, and torch only by the task itself.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any

from gan_cli import __version__
from gan_cli.cli import explain, mistakes
from gan_cli.cli.arguments import SWEEP_FLAGS, prepare
from gan_cli.cli.numbers import with_whole_numbers
from gan_cli.errors import GanTrainError, Problem, UserError, printable
from gan_cli.settings.objectives import with_key
from gan_cli.settings.schema import PATHS, config_dir, register_schemas
from gan_cli.system.shell import expand_home

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from gan_cli.cli.sweep.plan import Plan
    from gan_cli.runs.jobs import Record

OUTPUT_DIR = "outputs"  # as in configs/train.yaml; a sweep's folder is claimed before composing


@dataclass(frozen=True)
class App:
    """One console script.

    Attributes:
        name: as typed.
        config_name: of its root config, without `.yaml`.
        help_page: makes the text of --help.
        task: the module whose `run(config, from_command_line)` does the work and returns the exit
            code; imported when it runs.
        sweeps: whether -m makes sense.
    """

    name: str
    config_name: str
    _: KW_ONLY
    help_page: Callable[[], str]
    task: str
    sweeps: bool = False

    def main(self) -> None:
        """Run the command line and exit."""
        let_waiting_threads_sleep()
        arguments = sys.argv[1:] = prepare(sys.argv[1:])
        if {"-h", "--help"} & set(arguments):
            print(self.help_page())  # noqa: T201
            sys.exit(0)
        if "--version" in arguments:
            print(f"{self.name} {__version__}")  # noqa: T201
            sys.exit(0)
        sys.exit(self._run(arguments))

    def run_task(self, config: dict[str, Any], from_command_line: list[str]) -> int:
        """Import the task and run it.

        Args:
            config: resolved, plain containers.
            from_command_line: the keys that the command line names.

        Returns:
            The exit code.
        """
        code: int = importlib.import_module(self.task).run(config, from_command_line)
        return code

    def _run(self, arguments: list[str]) -> int:
        """Compose and run; every expected failure becomes one message and an exit code."""
        debug = "debug=true" in [argument.lower() for argument in arguments]
        try:
            return self.call(arguments)
        except GanTrainError as error:
            quiet = error.is_reported  # by another process of the same run
            code = error.exit_code
            return print_error(self.name, str(error), code=code, debug=debug, quiet=quiet)
        except KeyboardInterrupt as error:
            code = getattr(error, "exit_code", 130)
            return print_error(self.name, str(error) or "stopped.", code=code, debug=debug)

    def call(self, arguments: list[str]) -> int:
        """Compose and run, with the arguments in `sys.argv` too.

        Returns:
            The exit code.

        Raises:
            GanTrainError: every expected failure.
            KeyboardInterrupt: it was stopped at once.
        """
        try:
            return self._compose_and_run(arguments)
        except (GanTrainError, KeyboardInterrupt):
            raise
        except Exception as error:
            if is_composition_error(error):
                problem = explain.explain(self.config_name, error, arguments=arguments)
                raise rejection([problem]) from error  # rank 0 prints the same as others
            if isinstance(error, OSError) and error.filename is not None:
                message = f"{error.filename2 or error.filename}: {error.strerror}."
                raise UserError(message) from error
            raise

    def _compose_and_run(self, arguments: list[str]) -> int:
        # Hydra's own handler prints the first problem and exits 1; ours rewrites it.
        os.environ["HYDRA_FULL_ERROR"] = "1"
        register_schemas()
        problems = [
            *mistakes.hydra_folder_problems(self.name, arguments),
            *explain.group_problems(arguments),
        ]
        if flag := mistakes.flag_problem(self.config_name, arguments):
            problems.insert(0, flag)
        if problems:
            raise rejection(problems, where="the command line")
        arguments = sys.argv[1:] = with_whole_numbers(self.config_name, arguments)
        if SWEEP_FLAGS & set(arguments):
            return self._sweep(arguments)
        codes: list[int] = []
        failures: list[Exception] = []

        def job(config: DictConfig) -> None:
            try:
                codes.append(self.run_task(self._plain(config), overridden_keys()))
            except Exception as error:  # noqa: BLE001  (Hydra would print a report of its own)
                failures.append(error)

        self._compose(job)
        if failures:
            raise failures[0]
        return max(codes, default=0)

    def _compose(self, job: Callable[[DictConfig], object]) -> None:
        """Let Hydra compose the config, once or for each job of a sweep, and call `job` with it."""
        import hydra

        hydra.main(version_base="1.3", config_path=str(config_dir()), config_name=self.config_name)(
            job
        )()

    def _sweep(self, arguments: list[str]) -> int:
        """Run all jobs of a sweep, then write and print their table."""
        self._require_a_sweep_makes_sense()
        from gan_cli.cli.sweep.plan import alone, plan_sweep

        plan = plan_sweep(arguments, output_dir=OUTPUT_DIR)
        sys.argv[1:] = plan.arguments
        for note in plan.notes:
            print(f"note: {note}")  # noqa: T201
        with alone(plan.folder):
            return self._run_plan(plan)

    def _run_plan(self, plan: Plan) -> int:
        """Run the jobs of a sweep that is locked."""
        from gan_cli.cli.sweep.overview import Overview, finish
        from gan_cli.cli.sweep.plan import discard_if_unused

        failed: list[Record] = []
        ended: Exception | None = None
        try:
            with Overview(plan):
                self._compose(self._job_of(plan))
        except Exception as error:
            if is_composition_error(error) or isinstance(error, GanTrainError):
                raise
            ended = error  # a launcher or sweeper gave up; what the jobs did is kept
        finally:
            discard_if_unused(plan.folder)
            failed = finish(plan)
        if ended is not None and not failed:
            plugins = f"{plan.launcher} launcher, {plan.sweeper} sweeper"
            raise GanTrainError(f"the sweep cannot go on ({plugins}): {ended}") from ended
        if failed:
            names = ", ".join(f"{record.job} ({record.state})" for record in failed)
            raise GanTrainError(f"{len(failed)} of the sweep's jobs failed: {names}")
        return 0

    def _require_a_sweep_makes_sense(self) -> None:
        if os.environ.get("WORLD_SIZE", "1") != "1":
            advice = "a sweep is one process. Start each job under torchrun."
            raise rejection([Problem.about("-m", advice)])
        if not self.sweeps:
            advice = f"{self.name} does not sweep; call it once for each."
            raise UserError(Problem.about("-m", advice))

    def _job_of(self, plan: Plan) -> Callable[[DictConfig], float | None]:
        """What Hydra calls for each job of a sweep, maybe in another process."""
        from gan_cli.cli.sweep.job import run_job

        def print_failure(job: str, error: Exception) -> None:
            is_bug = not isinstance(error, GanTrainError)
            print_error(self.name, f"{job}: {error}", debug=is_bug)

        def job(config: DictConfig) -> float | None:
            from hydra.core.hydra_config import HydraConfig

            return run_job(
                self._plain(config),
                overridden_keys(),
                hydra_config=HydraConfig.get(),
                plan=plan,
                task=self.run_task,
                print_error=print_failure,
            )

        return job

    def _plain(self, config: DictConfig) -> dict[str, Any]:
        """The composed config as plain containers.

        Raises:
            UserError: a key is not known, or has no value.
        """
        from omegaconf import OmegaConf

        container = OmegaConf.to_container(config, resolve=True)
        assert isinstance(container, dict)
        plain = {str(key): value for key, value in container.items()}
        plain |= {key: expand_home(plain[key]) for key in PATHS if key in plain}
        if "objective" in plain:
            plain = with_key(plain)
        if problems := explain.key_problems(self.name, plain, config_name=self.config_name):
            raise rejection(problems)
        return plain


def print_error(
    name: str, message: str, *, code: int = 1, debug: bool = False, quiet: bool = False
) -> int:
    """Print an error of the command `name`, and return the exit code.

    Args:
        name: of the command.
        message: what is wrong, and what would work.
        code: the exit code.
        debug: print the traceback, too.
        quiet: print no message.
    """
    if debug:
        traceback.print_exc()
    if not quiet:
        print(printable(f"{name}: {message}"), file=sys.stderr)  # noqa: T201
    return code


def rejection(problems: list[Problem], *, where: str = "the configuration") -> UserError:
    """An error that all processes under torchrun meet, and only the first of them prints."""
    error = UserError(problems, where=where)
    error.is_reported = is_later_rank()
    return error


def is_later_rank() -> bool:
    """Whether this is one of several processes under torchrun, and not the first."""
    return os.environ.get("RANK", "0") != "0"


def is_composition_error(error: Exception) -> bool:
    """Whether Hydra or OmegaConf rejected the command line or a config file."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    if isinstance(error, HydraException | OmegaConfBaseException | YAMLError):
        return True
    trace = error.__traceback__  # some odd overrides make Hydra itself stumble
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and trace.tb_frame.f_globals.get("__name__", "").startswith("hydra.")


def overridden_keys() -> list[str]:
    """The keys that the running job's command line names, without `+`, `~` and `@`."""
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
