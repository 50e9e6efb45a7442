"""Reads a run directory for a page; whatever is damaged or missing is named."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from gan_cli.errors import UserError
from gan_cli.page.story import Event, Series, Story
from gan_cli.runs import checkpoint
from gan_cli.runs.directory import CONFIG, is_locked, read_config
from gan_cli.runs.log import LOG
from gan_cli.runs.records import METRICS, is_number, numbers_in, scan
from gan_cli.system.files import leads_out
from gan_cli.system.plain import open_plain, read_json

EVALUATION = "evaluation.json"
LARGEST_EVALUATION, LONGEST_LOG_LINE = 2**20, 2**14  # bytes
MOST_EVENTS, MOST_KEYS = 500, 1000
_LOG_LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  (.*)")
_INTRODUCTION = re.compile(r".+ on .+, m=\d+, k=\d+, ")
_FINDING = re.compile(r"health at step (\d+): (.*)")
_RESUMED = re.compile(r"resumed at step (\d+)")
_PICTURE = re.compile(r"(?:([a-z_]+)_)?step_(\d+)\.png")


def read_story(directory: Path, *, running: bool | None = None) -> Story:
    """Read a run directory; nothing in it can make this fail.

    Args:
        directory: of the run.
        running: whether a process trains in it; None: find out.
    """
    story = Story(directory)
    read_settings(story)
    read_metrics(story)
    read_log(story)
    find_pictures(story)
    read_evaluation(story)
    story.saved = saved_steps(story)
    logged = [series.steps[-1] for series in story.series.values()]
    story.last_step = max([*story.saved, *logged], default=0)
    story.running = is_locked(directory) if running is None else running
    return story


def read_settings(story: Story) -> None:
    """Take config.yaml into `story`."""
    if is_foreign(story.directory / CONFIG, story):
        return
    try:
        story.config = read_config(story.directory)
    except UserError as error:
        story.damage.append(str(error))


def read_metrics(story: Story) -> None:
    """Take the numbers of metrics.jsonl into `story`."""
    file = story.directory / METRICS
    if is_foreign(file, story):
        return
    if not file.is_file():
        story.damage.append(f"{METRICS} is missing.")
        return
    unreadable, left_out = 0, set[str]()
    for line in scan(file):
        step = line.step
        if step is None or line.values is None:
            unreadable += 1
            continue
        story.lines += 1
        left_out |= take_line(story, step, numbers_in(line.values))
    if left_out:
        story.damage.append(f"{METRICS}: {len(left_out)} keys beyond {MOST_KEYS} are left out.")
    if unreadable:
        story.damage.append(f"{METRICS}: {unreadable} lines cannot be read, and are left out.")


def take_line(story: Story, step: int, numbers: Mapping[str, float]) -> set[str]:
    """Take a line of numbers into `story`.

    Returns:
        The keys for which there is no room.
    """
    left_out = set()
    for key, value in numbers.items():
        if key == "step":
            continue
        series = story.series.get(key)
        if series is None and len(story.series) >= MOST_KEYS:
            left_out.add(key)
            continue
        if series is None:
            series = story.series[key] = Series()
        if not series.steps or step > series.steps[-1]:
            series.steps.append(step)
            series.values.append(float(value))
    return left_out


def read_log(story: Story) -> None:
    """Take what train.log says in words into `story`."""
    file = story.directory / LOG
    if is_foreign(file, story):
        return
    if not file.is_file():
        story.damage.append(f"{LOG} is missing.")
        return
    events: dict[tuple[int, str], Event] = {}
    for text in log_texts(file):
        if (event := event_in(text)) is not None:
            events[event.step, event.text] = event
            story.ended = ""
        else:
            take_text(story, text)
        if len(events) >= MOST_EVENTS:
            break
    story.events = sorted(events.values(), key=lambda event: event.step)


def event_in(text: str) -> Event | None:
    """What a line of the log says of a step; None: nothing."""
    if finding := _FINDING.fullmatch(text):
        return Event(int(finding[1][:15]), "health", finding[2])
    if resumed := _RESUMED.fullmatch(text):
        return Event(int(resumed[1][:15]), "resumed", "resumed")
    return None


def take_text(story: Story, text: str) -> None:
    """Take a line of the log that is about the whole run into `story`."""
    if text.startswith(("done: ", "stopped ")):
        story.ended = text.removesuffix(", all saved.").removesuffix(".")
    elif text.startswith("ended: "):
        story.ended = text.removeprefix("ended: ")
    elif text.startswith("gan-train: "):
        pairs = (part.partition(": ") for part in text.split("  "))
        story.machine = {key.strip(): value for key, _, value in pairs if value}
    elif _INTRODUCTION.match(text):
        story.introduction = [text]
    elif text.startswith("classes: "):
        story.introduction = [*story.introduction[:1], text]


def log_texts(file: Path) -> Iterator[str]:
    """The lines of a log without their times; bytes that are no UTF-8 are replaced."""
    try:
        with open_plain(file) as lines:
            while raw := lines.readline(LONGEST_LOG_LINE):
                if match := _LOG_LINE.fullmatch(raw.decode(errors="replace").rstrip("\n")):
                    yield match[1]
    except OSError:
        return


def find_pictures(story: Story) -> None:
    """Find all pictures that carry a step, and the sheet of real data, by folder."""
    try:
        folders = sorted(path for path in story.directory.iterdir() if path.is_dir())
    except OSError as error:
        story.damage.append(f"{story.directory}: cannot be read ({error.strerror}).")
        return
    for folder in folders:
        if folder.name == checkpoint.FOLDER or is_foreign(folder, story):
            continue
        for file in folder.glob("*step_*.png"):
            match = _PICTURE.fullmatch(file.name)
            if match and not is_foreign(file, story):  # gan-evaluate puts all into one folder
                pictures = story.pictures.setdefault(match[1] or folder.name, [])
                pictures.append((int(match[2][:15]), file))
    for pictures in story.pictures.values():
        pictures.sort()


def read_evaluation(story: Story) -> None:
    """Take what gan-evaluate wrote into `story`."""
    file = story.directory / EVALUATION
    if not file.exists() or is_foreign(file, story):
        return
    try:
        record = read_json(file, most=LARGEST_EVALUATION)
    except (OSError, ValueError) as error:
        story.damage.append(f"{EVALUATION}: cannot be read ({error}).")
        return
    if not isinstance(record, Mapping):
        story.damage.append(f"{EVALUATION}: is no evaluation.")
        return
    story.evaluation = {
        str(key): value
        for key, value in record.items()
        if is_number(value) or isinstance(value, str)
    }


def saved_steps(story: Story) -> list[int]:
    """The steps of the checkpoints that are there."""
    folder = story.directory / checkpoint.FOLDER
    if is_foreign(folder, story):
        return []
    try:
        checkpoints = checkpoint.list_checkpoints(folder)
    except UserError as error:
        story.damage.append(str(error))
        return []
    if not checkpoints:
        story.damage.append(f"{checkpoint.FOLDER}/ holds no checkpoint.")
    return [checkpoint.step_of(path) for path in checkpoints]


def is_foreign(path: Path, story: Story) -> bool:
    """Whether a path is a link that leads out of the run; then it is named and not read."""
    if path.is_symlink() and leads_out(path, story.directory):
        story.damage.append(f"{path.name} is a link that leads out of the run, and is not read.")
        return True
    return False


def is_readable_run(path: Path) -> bool:
    """Whether a folder holds files of a run, however damaged."""
    return any((path / name).exists() for name in (CONFIG, METRICS, LOG, checkpoint.FOLDER))
