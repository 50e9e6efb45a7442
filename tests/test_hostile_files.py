"""Pipes, devices, links, and records of a stranger: one message or none, and nothing elsewhere."""

import csv
import math
import os
import shutil
import signal
import struct
import threading
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from gan_cli import evaluate, translate
from gan_cli.cli import commands
from gan_cli.cli.sweep.ranking import ranking_of, write_csv
from gan_cli.data.files import cache_index, cache_place
from gan_cli.data.files.decode import Shape
from gan_cli.errors import UserError
from gan_cli.evaluation import cache
from gan_cli.page.compare_page import write_comparison
from gan_cli.page.embed import read_picture, thumbnail
from gan_cli.page.reading import read_story
from gan_cli.page.render import json_script
from gan_cli.page.run_page import explorer_of, write_run_page
from gan_cli.page.sweep_page import write_sweep_page
from gan_cli.page.vega import vega_script
from gan_cli.runs import checkpoint, index, jobs, records
from gan_cli.runs.directory import read_config, require_inside
from gan_cli.runs.estimates import Estimate, differ
from gan_cli.runs.events import silence_threads, trim_events
from gan_cli.runs.log import RunLog
from gan_cli.runs.summary import how_it_went
from gan_cli.system.archives import archive_comment
from gan_cli.system.files import Appender, locked, remove_leftovers
from gan_cli.system.plain import open_plain, read_json, read_plain
from gan_cli.theory.pictures import animate
from tests.conftest import Cli
from tests.test_trust import RUN, SMALL, THEIRS

SWEEP = ("-m", "name=s", "seed=1,2", "objective=loss/d", "steps=2", "log_every=1", "threads=1",
         "sample_every=0", "data.batch_size=4", "model.generator.hidden=[4]",
         "model.discriminator.hidden=[4]")  # fmt: skip
SWEPT = Path("outputs/s")


@pytest.fixture(autouse=True)
def _in_time() -> Iterator[None]:
    """What waits for a pipe would wait for ever."""

    def stop(*_: object) -> None:
        raise AssertionError("it hangs")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(120)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def chunk(kind: bytes, content: bytes) -> bytes:
    """A part of a PNG."""
    checksum = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + checksum


def pipe(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(path)
    return path


def endless(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to("/dev/zero")
    return path


def huge(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.truncate(2**40)
    return path


def folder(path: Path) -> Path:
    path.mkdir(parents=True)
    return path


@pytest.mark.parametrize("odd", [pipe, endless, folder])
def test_what_is_no_regular_file_is_not_opened(tmp_path: Path, odd: Callable[[Path], Path]) -> None:
    file = odd(tmp_path / "x")
    for read in (open_plain, read_plain, read_json):
        with pytest.raises(OSError, match=r"pipe or device|directory"):
            read(file)


def test_records_have_a_limit(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"[1]")
    assert read_plain(tmp_path / "x", most=3) == b"[1]"
    assert read_json(tmp_path / "x") == [1]
    for file, most in ((tmp_path / "x", 2), (huge(tmp_path / "y"), 1000)):
        with pytest.raises(OSError, match="larger than"):
            read_plain(file, most=most)
    (tmp_path / "z").write_text("[" * 100_000)
    with pytest.raises(ValueError, match="deeply"):
        read_json(tmp_path / "z")


def made() -> dict[str, Any]:
    return {"x": torch.ones(2)}


#: A file's place, and what reads it and must be as if it were not there.
READERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "cache index": (
        "c/index.json",
        lambda at: (
            cache_index.read_index(at / "c", total=1, shape=Shape(1, 1, 1, 1, 1, "cover"))
            == "its index is missing or damaged"
        ),
    ),
    "index": ("index.json", lambda at: index.read_index(at) == []),
    "job": (".jobs/a.json", lambda at: jobs.read_records(at) == []),
    "evaluation": ("evaluation.json", lambda at: evaluate.read(at / "evaluation.json") == {}),
    "metrics": ("m", lambda at: list(records.scan(at / "m")) == []),
    "picture": ("p.png", lambda at: read_picture(at / "p.png", as_it_is=True) is None),
    "thumbnail": ("p.png", lambda at: thumbnail(at / "p.png", side=9) is None),
    "checkpoint": ("checkpoints/step_00000001.pt", lambda at: read_story(at).last_step == 0),
    "result": (
        "metrics/r.pt",
        lambda at: cache.read(at / "metrics" / "r.pt", ["x"], lambda _: None) is None,
    ),
    "script": (
        "scripts/vega-1.9.0.post1.js",
        lambda _: "vegaEmbed" in vega_script(),
    ),
}


#: A long record is a record, and a checkpoint's name says its step.
ANY_LENGTH = ("metrics", "checkpoint")


@pytest.mark.parametrize(
    ("reader", "odd"),
    [
        (reader, odd)
        for reader in READERS
        for odd in (pipe, endless, huge, folder)
        if not (odd is huge and reader in ANY_LENGTH)
    ],
)
def test_readers_pass_over_what_is_no_record(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    odd: Callable[[Path], Path],
    reader: str,
) -> None:
    monkeypatch.setenv("GAN_TRAIN_CACHE", str(tmp_path))
    place, passes_over = READERS[reader]
    odd(tmp_path / place)
    assert passes_over(tmp_path)


@pytest.mark.parametrize("name", ["config.yaml", "metrics.jsonl", "train.log", "evaluation.json"])
@pytest.mark.parametrize("odd", [pipe, endless, folder])
def test_a_page_of_a_run_of_pipes_is_written(
    tmp_path: Path, name: str, odd: Callable[[Path], Path]
) -> None:
    odd(tmp_path / "run" / name)
    pipe(tmp_path / "run" / "samples" / "step_00000001.png")
    story = write_run_page(tmp_path / "run", tmp_path / "x.html")
    assert (tmp_path / "x.html").is_file()
    assert any(name in text for text in story.damage)


def test_a_page_does_not_show_what_links_lead_to(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "secret").write_text("token: abc123")
    (tmp_path / "run" / "config.yaml").symlink_to(tmp_path / "secret")
    story = write_run_page(tmp_path / "run", tmp_path / "x.html")
    assert "config.yaml is a link that leads out of the run, and is not read." in story.damage
    assert "abc123" not in (tmp_path / "x.html").read_text()


@pytest.mark.parametrize("name", ["checkpoints", "checkpoints/step_00000009.pt"])
def test_a_page_holds_no_generator_from_elsewhere(cli: Cli, tmp_path: Path, name: str) -> None:
    assert cli(*RUN, *SMALL).code == 0
    assert explorer_of(read_story(THEIRS)).payload is not None
    (file,) = checkpoint.list_checkpoints(THEIRS / "checkpoints")
    (tmp_path / "stranger").mkdir()
    link = tmp_path / "stranger" / name
    link.parent.mkdir(exist_ok=True)
    link.symlink_to((THEIRS / "checkpoints" if name == "checkpoints" else file).resolve())
    left_out = explorer_of(read_story(tmp_path / "stranger"))
    assert left_out.payload is None
    assert "a link that leads out of the run" in str(left_out.reason)


TRAPS = {
    "a: !!timestamp x": "",
    "a: !!bool x": "x",
    'a: !!int ""': "",
    "a: 1" + ":1" * 400 + ":1.5": "too large",
    "a: 1" + ":1" * 300_000: "longer than 65,536 characters",
    "a: 0x" + "f" * 60_000: "too large",
    "a: 2001-01-01": "a is a date",
    "a: [!!set {b}]": "a is a set",
    "a: !!binary aGVq": "a is a bytes",
    "1: 2": "a key that is no text",
    "a: {b: {null: 3}}": "a.b holds a key that is no text",
    "a: [" + "[]," * 300_000 + "]": "more than 100,000 values",
}


@pytest.mark.parametrize("text", TRAPS, ids=lambda text: text[:20])
def test_values_that_no_config_holds_are_one_message(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.yaml").write_text(text)
    began = time.monotonic()
    with pytest.raises(UserError, match="cannot be read") as error:
        read_config(tmp_path)
    assert TRAPS[text] in str(error.value)
    assert len(str(error.value)) < 500
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("text", ["[a]", "a", "", "12", "null"])
def test_a_config_is_a_node(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(UserError, match=r"config\.yaml: not a config of gan-train"):
        read_config(tmp_path)


@pytest.mark.parametrize("step", ["-1", "1" + "0" * 19, "9" * 4000, "1.5", "Infinity", "true"])
def test_lines_of_steps_that_no_run_is_at_are_passed_over(tmp_path: Path, step: str) -> None:
    file = tmp_path / records.METRICS
    file.write_text('{"step": 1, "x": 1}\n' + f'{{"step": {step}, "x": 2, "time": 1}}\n')
    assert list(records.read_lines(tmp_path)) == [{"step": 1, "x": 1}]
    write_run_page(tmp_path, tmp_path / "x.html")
    assert jobs.final_numbers(tmp_path) == {"step": 1.0, "x": 1.0}


ODD_KEYS = ("loss/d", "time", "eval/fid", "eval/fid_error", "eval/diversity_real",
            "eval/diversity_fake")  # fmt: skip
ODD_LINES = [
    ", ".join(f'"{key}": {value}' for key in ODD_KEYS)
    for value in ("NaN", "Infinity", "-Infinity", "1.7976931348623157e308", "1e200", "5e-324")
]


@pytest.mark.parametrize("line", ODD_LINES)
def test_pages_of_numbers_that_json_does_not_know(tmp_path: Path, line: str) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        lines = "".join(f'{{"step": {step}, {line}}}\n' for step in (1, 2, 3))
        (tmp_path / name / records.METRICS).write_text(lines)
        (tmp_path / name / "config.yaml").write_text(f"steps: 3\nk: {ord(name)}")
        write_run_page(tmp_path / name, tmp_path / "x.html")
    write_comparison([tmp_path / "a", tmp_path / "b"], tmp_path / "y.html")


def test_a_page_of_too_many_keys_leaves_some_out(tmp_path: Path) -> None:
    values = ", ".join(f'"k{number}": 1' for number in range(3000))
    (tmp_path / records.METRICS).write_text(f'{{"step": 1, {values}}}\n{{"step": 2, {values}}}\n')
    story = read_story(tmp_path)
    assert list(story.series) == [f"k{number}" for number in range(1000)]
    assert "metrics.jsonl: 2000 keys beyond 1000 are left out." in story.damage


def test_json_of_a_page_has_null_for_what_it_does_not_know() -> None:
    data = {"a": [1.5, math.nan], "b": ({"c": math.inf}, -math.inf), "d": "x"}
    assert '{"a":[1.5,null],"b":[{"c":null},null],"d":"x"}' in json_script("i", data)


@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e200])
def test_welchs_test_does_not_depend_on_the_scale(scale: float) -> None:
    def estimate(value: float, error: float) -> Estimate:
        return Estimate(value * scale, error * scale, 3)

    assert differ(estimate(1, 0.1), estimate(2, 0.1)) is True
    assert differ(estimate(1, 0.5), estimate(2, 0.5)) is False
    assert differ(estimate(1, 0), estimate(1, 0)) is False


def test_half_of_a_pair_of_numbers_says_nothing() -> None:
    assert how_it_went({"diversity/real": 1.0, "modes/covered": 3.0, "prob/real": 0.5}) == []
    (said,) = how_it_went({"diversity/real": 2.0, "diversity/fake": 1.0})
    assert said == "diversity 0.50 of the data's."


def test_a_run_that_is_removed_while_it_trains_shows_no_traceback(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run").mkdir()
    log = RunLog(tmp_path / "run", step=0, steps=9)
    shutil.rmtree(tmp_path / "run")
    for step in range(1, 4):
        log.scalars(step, {"loss/d": 1.0, "time": 1.0})
        log.flush()
        time.sleep(0.1)
    log.close()
    shown = capfd.readouterr()
    assert "Traceback" not in shown.err
    assert shown.err.count("warning: TensorBoard cannot be written") == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_other_threads_show_their_tracebacks(capsys: pytest.CaptureFixture[str]) -> None:
    before = threading.excepthook
    threading.excepthook = threading.__excepthook__
    silence_threads.cache_clear()
    try:
        silence_threads()
        thread = threading.Thread(target=lambda: 1 / 0)
        thread.start()
        thread.join()
    finally:
        threading.excepthook = before
        silence_threads.cache_clear()
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_names_forge_no_lines(cli: Cli, tmp_path: Path) -> None:
    forged = "a\ndone: 9 of 9 steps"
    for name in ("cats", forged):
        (tmp_path / "pics" / name).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(tmp_path / "pics" / name / "1.png")
        (tmp_path / "pics" / name / f"{forged}.png").write_text("no image")
    (tmp_path / "pics" / f"{forged} too").mkdir()
    (tmp_path / "pics" / f"{forged} too" / "1.png").write_text("no image")
    data = ["data=image_folder", "data.root=pics", "data.image_size=8", "data.batch_size=2"]
    result = cli(*RUN, *SMALL, *data)
    assert result.code == 0
    assert "\ndone: 9" not in result.out
    assert "a\\x0adone: 9 of 9 steps" in result.out
    assert read_story(THEIRS).ended.startswith("done: 2 of 2 steps")
    result = cli(*RUN, *SMALL, *data[:1], "data.root=pics/nothing")
    assert result.code == 2
    assert "\ndone: 9" not in result.err


def test_a_table_that_cannot_be_written_costs_a_note(cli: Cli) -> None:
    (SWEPT / "sweep.csv").mkdir(parents=True)
    result = cli(*SWEEP)
    assert result.code == 0
    assert f"note: {SWEPT}/sweep.csv cannot be written (Is a directory)" in result.out
    assert "best: loss/d" in result.out


PNG = b"\x89PNG\r\n\x1a\n"
PICTURES = {
    "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n",
    "empty": b"",
    "too large": PNG + chunk(b"IHDR", struct.pack(">IIBBBBB", 9000, 9000, 8, 2, 0, 0, 0)),
    "bomb": PNG + chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)),
    "palette": PNG
    + chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 3, 0, 0, 0))
    + chunk(b"PLTE", b"12")
    + chunk(b"IDAT", zlib.compress(b"\xff" * 72)),
    "short header": PNG + chunk(b"IHDR", b"\0"),
}


@pytest.mark.parametrize("kind", PICTURES)
def test_pictures_of_a_stranger_are_pngs_or_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise AssertionError("Ghostscript was started")

    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", fail)
    for step in (1, 2):
        (tmp_path / f"step_{step:08d}.png").write_bytes(PICTURES[kind])
    file = tmp_path / "step_00000001.png"
    with pytest.raises((OSError, ValueError)):
        animate(tmp_path)
    if kind != "palette":  # which Pillow mends, if it is not made smaller
        assert read_picture(file, as_it_is=True) is None
        assert thumbnail(file, side=9) is None


def record(**values: Any) -> jobs.Record:
    plain: dict[str, Any] = {"swept": {"seed": "1"}, "objective": "o", "direction": "minimize"}
    return jobs.Record("a", "m", **{**plain, "state": "done", **values})


def test_a_job_of_a_group_of_processes_is_not_alive() -> None:
    for number in (0, -1, -os.getpid()):
        assert not jobs.is_alive(record(process=(os.uname().nodename, number)))
    assert jobs.is_alive(record())


def test_tables_of_sweeps_hold_any_text_and_number(tmp_path: Path) -> None:
    odd = record(message="\ud800 failed", swept={"\udcff": "\ud800"})
    odd.write(tmp_path)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / records.METRICS).write_text(
        '{"step": 3, "o": 1.0, "o_error": NaN, "\\ud800": 2}\n{"step": Infinity, "o": 5}\n'
    )
    write_csv(tmp_path, ranking_of(tmp_path, jobs.read_records(tmp_path)))
    with (tmp_path / "sweep.csv").open(newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert row["message"] == "\\ud800 failed"
    assert row["\\udcff"] == "\\ud800"
    assert (row["o"], row["step"]) == ("1.0", "3.0")
    assert write_sweep_page(tmp_path, tmp_path / "x.html") == 1


@pytest.mark.parametrize("name", ["multirun.yaml", ".jobs", "seed-1", "seed-1/train.log", ".lock"])
def test_links_in_a_strangers_sweep_are_refused(cli: Cli, tmp_path: Path, name: str) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "bashrc").write_text("mine")
    link = SWEPT / name
    link.parent.mkdir(parents=True)
    link.symlink_to(tmp_path / ("bashrc" if "." in name[1:] else "mine"))
    result = cli(*SWEEP)
    assert result.code == 2
    assert f"{name} -> {tmp_path}" in result.err
    assert (tmp_path / "bashrc").read_text() == "mine"
    assert list((tmp_path / "mine").iterdir()) == []


def test_links_inside_a_sweep_are_fine(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "outputs").mkdir()
    (tmp_path / "real").mkdir()
    SWEPT.symlink_to(tmp_path / "real")
    (SWEPT / "newest").symlink_to("seed-2")
    assert cli(*SWEEP).code == 0
    assert (tmp_path / "real" / "seed-1" / "config.yaml").is_file()


def test_leftovers_are_files(tmp_path: Path) -> None:
    (tmp_path / ".a.tmp").mkdir()
    (tmp_path / ".b.tmp").write_text("")
    (tmp_path / ".c.tmp").symlink_to("nowhere")
    pipe(tmp_path / ".d.tmp")
    remove_leftovers(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".a.tmp", ".d.tmp"]


def test_a_file_with_another_name_is_not_appended_to(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine\n")
    (tmp_path / "train.log").hardlink_to(tmp_path / "mine")
    for text in ("a\n", "b\n"):
        appender = Appender(tmp_path / "train.log")
        appender.write(text)
        appender.close()
    assert (tmp_path / "mine").read_text() == "mine\n"
    assert (tmp_path / "train.log").read_text() == "mine\na\nb\n"


def test_a_lock_is_no_link(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "x.lock").symlink_to(tmp_path / "mine")
    with pytest.raises(OSError, match="link"), locked(tmp_path / "x.lock", timeout=0):
        pass
    assert (tmp_path / "mine").read_text() == "mine"


def test_a_cache_that_leads_elsewhere_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GAN_TRAIN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    for name in ("cache", "mine", "tmp"):
        (tmp_path / name).mkdir()
    (tmp_path / "cache" / "images").symlink_to(tmp_path / "mine")
    cache_place.temporary_cache.cache_clear()
    assert (tmp_path / "tmp") in cache_place.cache_of("images").parents
    assert "is a link that leads elsewhere" in capsys.readouterr().out
    assert cache_place.cache_of("metrics") == tmp_path / "cache" / "metrics"
    (tmp_path / "cache" / "other").mkdir()
    (tmp_path / "cache" / "inside").symlink_to("other")
    assert cache_place.cache_of("inside") == tmp_path / "cache" / "inside"
    (tmp_path / "link").symlink_to(tmp_path / "cache")  # the cache as a whole may lie anywhere
    monkeypatch.setenv("GAN_TRAIN_CACHE", str(tmp_path / "link"))
    assert cache_place.cache_of("metrics") == tmp_path / "link" / "metrics"


def test_pruning_removes_caches_alone(tmp_path: Path) -> None:
    for name in ("a" * 24, "b" * 24, "thesis", "0" * 23):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("12345")
    (tmp_path / ("c" * 24)).symlink_to(tmp_path / "thesis")
    cache_place.prune(tmp_path, keep=tmp_path / ("a" * 24), limit=0)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"a" * 24, "c" * 24, "thesis", "0" * 23}
    assert (tmp_path / "thesis" / "file").is_file()


def test_removing_a_cache_removes_a_link_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    (tmp_path / "file").write_text("")
    (tmp_path / "folder" / "x").mkdir(parents=True)
    for name in ("link", "file", "folder", "nothing"):
        cache_place.remove(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_stored_result_takes_no_more_than_its_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain, packed, wide = (tmp_path / f"{name}.pt" for name in "abc")
    torch.save({"x": torch.zeros(10**6)}, plain)
    with (
        zipfile.ZipFile(plain) as archive,
        zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as output,
    ):
        for part in archive.namelist():
            output.writestr(part, archive.read(part))
    with packed.open("rb") as file, pytest.raises(ValueError, match="larger than the file"):
        archive_comment(file)
    content = {"x": torch.zeros(1).expand(10**6)}
    torch.save({cache.CHECKSUM: cache.checksum(content), **content}, wide)
    for file in (packed, wide):
        assert cache.read(file, ["x"], lambda _: None) is None
    assert capsys.readouterr().out.count("larger than the file") == 2


@pytest.mark.parametrize("part", [*checkpoint.PARTS, "format", "step"])
@pytest.mark.parametrize("value", [None, [1], torch.zeros(3), 2.0, True], ids=str)
def test_a_checkpoint_has_parts_of_their_types(tmp_path: Path, part: str, value: object) -> None:
    whole: dict[str, Any] = {name: {} for name in checkpoint.PARTS} | {"format": 2, "step": 1}
    assert checkpoint.is_checkpoint(whole)
    checkpoint.write(tmp_path / "x.pt", whole | {part: value})
    with pytest.raises(UserError, match="not a checkpoint of gan-train"):
        checkpoint.read(tmp_path / "x.pt")


def test_a_run_without_an_environment_is_one_message(cli: Cli) -> None:
    assert cli(*RUN, *SMALL).code == 0
    (file,) = checkpoint.list_checkpoints(THEIRS / "checkpoints")
    state = checkpoint.read(file)
    checkpoint.write(file, {**state, "environment": [1]})
    result = cli(f"run={THEIRS}", app=commands.SAMPLE)
    assert result.code == 2
    assert "not a checkpoint of gan-train" in result.err


def test_an_event_that_claims_gigabytes_is_cut_off(tmp_path: Path) -> None:
    from tensorboard.summary.writer.record_writer import masked_crc32c

    length = (8 * 2**30).to_bytes(8, "little")
    file = huge(tmp_path / "events")
    with file.open("r+b") as stored:
        stored.write(length + masked_crc32c(length).to_bytes(4, "little"))
    trim_events(file, 5)
    assert file.stat().st_size == 0


def test_what_is_written_stays_below_the_folder(tmp_path: Path) -> None:
    (tmp_path / "out" / "a").mkdir(parents=True)
    (tmp_path / "mine").mkdir()
    (tmp_path / "out" / "b").symlink_to(tmp_path / "mine")
    (tmp_path / "out" / "c").symlink_to("a")
    (tmp_path / "link").symlink_to("out")
    for root in (tmp_path / "out", tmp_path / "link"):
        for name in ("x", "a/x", "c/x", "new/x"):
            require_inside(root / name, root, key="out")
        for name in ("b/x", "b/new/x"):
            with pytest.raises(UserError, match="a link that leads out"):
                require_inside(root / name, root, key="out")


def test_commands_write_below_the_folder_that_they_are_told(cli: Cli, tmp_path: Path) -> None:
    assert cli(*RUN, *SMALL).code == 0
    (file,) = checkpoint.list_checkpoints(THEIRS / "checkpoints")
    (tmp_path / "mine").mkdir()
    (tmp_path / "pack").mkdir()
    file.rename(tmp_path / "pack" / "m.pt")  # without a run around it
    for name in ("samples", "evaluation"):
        (tmp_path / "pack" / name).symlink_to(tmp_path / "mine")
    for app, more in (
        (commands.SAMPLE, ["n=4"]),
        (commands.EVALUATE, ["n=20", "metrics=[nearest]"]),
    ):
        result = cli("run=pack/m.pt", *more, app=app)
        assert result.code == 2
        assert "a link that leads out" in result.err
    with pytest.raises(UserError, match="a link that leads out"):
        translate.place(
            [tmp_path / "pack" / "samples" / "x.png"], tmp_path / "pack", tmp_path / "pack"
        )
    assert list((tmp_path / "mine").iterdir()) == []
