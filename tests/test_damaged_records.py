"""Damaged records of a run cost a line; the rest goes on, in little time and memory."""

import json
import time
import tracemalloc
from pathlib import Path

import pytest
import yaml

from gan_cli.errors import UserError
from gan_cli.runs import checkpoint, directory
from gan_cli.runs.best import best_before
from gan_cli.runs.events import trim_events
from gan_cli.runs.log import RunLog
from gan_cli.runs.records import line_at, merge_line, read_lines, trim_lines
from gan_cli.settings.stored import typed
from gan_cli.system.files import Appender
from gan_cli.training.health import RULES, Health
from tests.conftest import Cli
from tests.test_trust import RUN, SMALL, THEIRS

ODD = (
    '{"step": 1, "prob/real": "high", "prob/fake": [1], "grad_norm/g": null}\n'
    '{"step": 1, "prob/real": 1' + "0" * 400 + ', "prob/fake": 1e999, "grad_norm/g": NaN}\n'
    + "[" * 100_000 + "\n"
    + '{"step": 1' + "0" * 5000 + "}\n"
    + "x" * 3_000_000 + "\n"
)  # fmt: skip


def make(cli: Cli, *more: str) -> None:
    assert cli(*RUN, *SMALL, *more).code == 0


def test_lines_that_hold_no_numbers_are_passed_over(cli: Cli) -> None:
    make(cli)
    file = THEIRS / "metrics.jsonl"
    good = file.read_text()
    file.write_text(ODD + good)
    result = cli(f"resume={THEIRS}", "steps=3")
    assert result.code == 0
    assert result.out.count(f"note: {file}: ") == 1
    assert "2 lines hold values that are no numbers" in result.out
    assert [line["step"] for line in read_lines(THEIRS)][2:] == [1, 2, 3]
    assert "Traceback" not in result.err


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: " + "[" * 10_000 + "]" * 10_000, "deeper than 30 levels"),
        (
            "a: &a [x,x,x,x,x,x,x,x,x]\n"
            + "".join(
                f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n"
                for before, name in zip("abcdefgh", "bcdefghi", strict=True)
            ),
            "refers to another place",
        ),
        ("a: " + "x" * 2**20, "larger than"),
        ("a: \udcff", "utf-8"),
    ],
)
def test_a_config_that_is_a_trap_is_one_line(cli: Cli, text: str, reason: str) -> None:
    make(cli)
    (THEIRS / "config.yaml").write_bytes(text.encode("utf-8", "surrogateescape"))
    began = time.monotonic()
    with pytest.raises(UserError, match=reason):
        directory.read_config(THEIRS)
    assert time.monotonic() - began < 5
    assert cli(f"resume={THEIRS}", "steps=3").code == 0  # the checkpoint holds all that is needed


def test_a_list_in_two_places_is_written_twice(tmp_path: Path) -> None:
    betas = [0.5, 0.9]
    directory.write_config(tmp_path, {"a": betas, "b": betas})
    assert directory.read_config(tmp_path) == {"a": betas, "b": betas}


def test_a_stored_config_of_many_levels_is_refused() -> None:
    nested: dict[str, object] = {}
    for _ in range(10_000):
        nested = {"a": nested}
    with pytest.raises(UserError, match="cannot be used"):
        typed({"model": nested}, Path("x"))


def test_a_broken_picture_costs_the_animation(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gan_cli.theory.measure.REFIT_STEPS", 20)
    monkeypatch.setattr("gan_cli.theory.measure.SAMPLES", 2_000)
    make(cli, "data=mixture_1d", "noise.dim=1", "eval_every=1", "eval_metrics=[theory]")
    assert (THEIRS / "theory" / "training.gif").is_file()
    for content in (b"nothing", (THEIRS / "theory" / "step_00000001.png").read_bytes()[:500]):
        (THEIRS / "theory" / "step_00000001.png").write_bytes(content)
        step = checkpoint.list_checkpoints(THEIRS / "checkpoints")[0]
        result = cli(f"resume={THEIRS}", f"steps={checkpoint.step_of(step) + 1}")
        assert result.code == 0
        assert result.out.count("note: theory/ has no animation") == 1


@pytest.mark.parametrize("best", [None, [1], {"value": "x", "objective": "o", "direction": "d"}])
def test_a_best_checkpoint_without_a_value_is_named(tmp_path: Path, best: object) -> None:
    plain = {"config": {}, "spec": {}, "environment": {}, "session": {}}
    checkpoint.save_best(tmp_path, {"step": 1, "best": best, **plain})
    value, note = best_before(tmp_path, "o", "d")
    assert value is None
    assert note
    assert "holds no value" in note


def long_run(folder: Path, lines: int) -> None:
    line = {"loss/d": 1.0, "prob/real": 0.99, "prob/fake": 0.01, "grad_norm/g": 0.1, "time": 1.0}
    with (folder / "metrics.jsonl").open("w") as file:
        for step in range(lines):
            file.write(json.dumps({"step": step, **line}) + "\n")


def test_a_long_record_is_read_as_a_stream(tmp_path: Path) -> None:
    long_run(tmp_path, 5_000)  # half a megabyte
    began = time.monotonic()
    tracemalloc.start()
    trim_lines(tmp_path / "metrics.jsonl", 4_500)
    Health().replay(read_lines(tmp_path))
    merge_line(tmp_path, 2_000, {"eval/x": 1.0})
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 200_000
    assert time.monotonic() - began < 30
    assert line_at(tmp_path, 2_000)["eval/x"] == 1
    assert [line["step"] for line in read_lines(tmp_path)] == list(range(4_501))


def test_replaying_is_adding() -> None:
    def line(step: int, *, wins: bool) -> dict[str, float]:
        fake = 0.001 if wins else 0.5
        return {"prob/real": 0.999, "prob/fake": fake, "grad_norm/g": float(step)}

    longest = max(rule.lines for rule in RULES)
    for ends in range(5 * longest):
        lines = [line(step, wins=30 <= step < 60) for step in range(ends)]
        added, replayed = Health(), Health()
        for one in lines:
            added.add(one)
        replayed.replay(lines)
        for step in range(ends, ends + longest):
            after = line(step, wins=step % 45 > 20)
            assert added.add(after) == replayed.add(after)


def test_merging_into_each_place(tmp_path: Path) -> None:
    for step in (0, 5, 10, 12, 99):
        long_run(tmp_path, 11)
        merge_line(tmp_path, step, {"eval/x": 1.0})
        steps = [line["step"] for line in read_lines(tmp_path)]
        assert steps == sorted({*range(11), step})
        assert line_at(tmp_path, step)["eval/x"] == 1
    (tmp_path / "metrics.jsonl").write_text("")
    merge_line(tmp_path, 3, {"eval/x": 1.0})
    assert list(read_lines(tmp_path)) == [{"step": 3, "eval/x": 1.0}]


def test_events_of_a_trap_are_cut_off(cli: Cli) -> None:
    make(cli)
    (events,) = THEIRS.glob("events.out.tfevents.*")
    whole = events.read_bytes()
    trim_events(events, 2)
    assert events.read_bytes() == whole
    events.write_bytes(whole + b"\xff" * 8 + b"\0" * 100)  # a record of 2**64 - 1 bytes
    trim_events(events, 2)
    assert events.read_bytes() == whole


def test_what_is_written_is_plain_yaml(cli: Cli) -> None:
    make(cli)
    text = (THEIRS / "config.yaml").read_text()
    assert yaml.safe_load(text) == directory.read_config(THEIRS)
    assert "&id" not in text


def test_lines_are_written_together_and_all_are_there_at_a_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = RunLog(tmp_path, step=0, steps=1000)
    writes: list[bytes] = []
    for step in range(1, 501):
        log.scalars(step, {"loss/d": 1.0})
        writes.append((tmp_path / "metrics.jsonl").read_bytes())
    assert len(set(writes)) < 20
    log.flush()
    assert [line["step"] for line in read_lines(tmp_path)] == list(range(1, 501))
    log.scalars(501, {"loss/d": 1.0})
    log.close()
    assert line_at(tmp_path, 501) == {"step": 501, "loss/d": 1.0}
    now = time.monotonic() + 2
    monkeypatch.setattr("gan_cli.system.files.time.monotonic", lambda: now)
    appender = Appender(tmp_path / "x", every_seconds=1)
    appender.write("a")
    appender.write("b")
    assert (tmp_path / "x").read_text() == "a"
    monkeypatch.setattr("gan_cli.system.files.time.monotonic", lambda: now + 1)
    appender.write("c")
    assert (tmp_path / "x").read_text() == "abc"
    appender.close()
