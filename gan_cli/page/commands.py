"""The commands that repeat, resume and use a run, ready to be pasted."""

from __future__ import annotations

import contextlib
import shlex
from pathlib import Path
from typing import Any

from gan_cli.errors import SettingsError
from gan_cli.games.base import Game
from gan_cli.games.translating import Translating
from gan_cli.page.story import Story
from gan_cli.page.verdict import default_steps, has_settled, is_complete
from gan_cli.runs.summary import smaller_rate
from gan_cli.settings.defaults import overrides
from gan_cli.settings.targets import PLACES, resolve
from gan_cli.system.shell import arguments


def commands_of(story: Story) -> list[tuple[str, str, str]]:
    """What it does, the command, and a remark, for each."""
    run = Path(story.directory)
    curves = ("curves", f"tensorboard --logdir {shlex.quote(str(run))}", "")
    if not story.saved:  # there is nothing to go on with
        return [*repeating(story), curves]
    longer = default_steps(story) or 2 * story.last_step
    more: dict[str, object] = {"steps": longer} if is_complete(story) else {}
    limit = story.config.get("patience")
    if has_settled(story) and not more and isinstance(limit, int):
        more = {"patience": 2 * limit}
    commands = [
        *repeating(story),
        ("go on", f"gan-train {arguments(resume=run, **more)}", ""),
        ("measure", f"gan-evaluate {arguments(run=run)}", ""),
    ]
    game = game_of(story)
    if game is not None and issubclass(game, Translating):
        use = arguments(run=run, input="FOLDER", output="FOLDER", direction="a2b")
        commands.append(("translate", f"gan-translate {use}", ""))
    elif game is not None:
        commands.append(("sample", f"gan-sample {arguments(run=run)}", ""))
    return [*commands, curves]


def repeating(story: Story) -> list[tuple[str, str, str]]:
    """The command that trains the same once more; none where the config is damaged."""
    try:
        named = overrides(story.config)
    except Exception:  # noqa: BLE001  (a damaged config may hold anything)
        return []
    remark = "the same seed, threads, versions and kind of CPU give the same run"
    commands = [("repeat", f"gan-train {arguments(**named)}", remark)]
    if "diverged" in story.ended:
        with contextlib.suppress(LookupError, TypeError, ValueError):  # the config is damaged
            tried = {**named, "optimizer.lr": smaller_rate(story.config)}
            command = f"gan-train {arguments(**tried)}"
            commands.insert(0, ("try", command, "the same with a smaller learning rate"))
    return commands


def game_of(story: Story) -> type[Game[Any]] | None:
    """The class of the run's game, if it is one of ours."""
    model = story.config.get("model")
    target = model.get("_target_") if isinstance(model, dict) else None
    try:
        return resolve(target, PLACES["model"], trusted=False)
    except SettingsError:
        return None
