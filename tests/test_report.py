"""gan-report: what pages say of runs, comparisons and sweeps, and that they hold all they show."""

from __future__ import annotations

import hashlib
import json
import math
import re
import shlex
import shutil
from html.parser import HTMLParser
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
import vl_convert
import yaml
from PIL import Image

from gan_cli.cli import commands
from gan_cli.page import vega
from gan_cli.page.charts import Chart, charts_of
from gan_cli.page.compare_page import comparison_page
from gan_cli.page.curves import MOST_POINTS, Curves, thin
from gan_cli.page.embed import embed
from gan_cli.page.evaluated import evaluation_rows
from gan_cli.page.reading import read_story
from gan_cli.page.run_page import run_page, write_run_page
from gan_cli.page.settings_of import settings_of
from gan_cli.page.story import Event, Series, Story
from gan_cli.page.verdict import findings_of, judge, spans_of
from gan_cli.runs.estimates import Estimate, differ
from gan_cli.runs.jobs import Record
from gan_cli.runs.meaning import better
from tests.conftest import Cli

GOLDEN = Path(__file__).parent / "golden" / "0.1.0"
RUNS = sorted(path.parent for path in GOLDEN.glob("*/config.yaml"))
LARGEST = 3_000_000  # bytes of a page without the explorer


@pytest.fixture(autouse=True, scope="module")
def _scripts(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One cache for all pages of this file: to join the charting library takes a second."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("scripts")
        patch.setattr("gan_cli.page.vega.kept_in", lambda: folder)
        yield


class Page(HTMLParser):
    """The addresses, the visible text and the data of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        self.data: dict[str, Any] = {}
        self._inside: str | None = None
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        values = dict(attrs)
        self.addresses += [str(values[key]) for key in ("src", "href") if key in values]
        if tag in ("script", "style"):
            self._inside = values.get("id") or tag

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self._inside = None

    def handle_data(self, data: str) -> None:
        if self._inside is None:
            self.text += data
        elif self._inside.endswith("-data"):
            self.data[self._inside] = json.loads(data)


def copy_of(run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run, tmp_path / run.name))


@pytest.mark.parametrize("run", RUNS, ids=lambda path: path.name)
def test_a_page_of_each_family_holds_all_it_shows(run: Path, tmp_path: Path) -> None:
    directory = copy_of(run, tmp_path)
    file = directory / "report.html"
    story = write_run_page(directory, file)
    page = Page(file.read_text(encoding="utf-8"))
    foreign = [a for a in page.addresses if not a.startswith(("#", "data:"))]
    assert foreign == []
    assert story.damage == []
    assert "Finished: step" in page.text
    assert f"gan-train resume={directory}" in page.text
    last = story.newest()
    for drawn in page.data["curves-data"]["charts"]:
        for entry in drawn["series"]:
            curve = page.data["curves-data"]["curves"][entry["curve"]]
            assert curve["y"][-1] == pytest.approx(last[entry["label"]], rel=1e-4)
            steps = page.data["curves-data"]["steps"][curve["x"]]
            assert len(steps) == len(curve["y"])


RECIPES: list[list[str]] = [
    ["seed=5", "threads=1"],
    ["model=dcgan", "model.width=8", "regularizer=[r1,diffaugment]", "ema.decay=0.9", "k=2"],
    ["model=cgan", "model.backbone=mlp", "loss=hinge", "schedule=cosine", "optimizer.lr_d=0.001"],
    ["model=cyclegan", "data=digit_domains", "model.width=4", "optimizer.betas=[0.5,0.9]"],
    ["experiment=mode_collapse", "noise=uniform", "noise.low=-2"],
]


@pytest.mark.parametrize("recipe", RECIPES, ids=" ".join)
def test_the_repeat_command_of_a_page_repeats_the_run(cli: Cli, recipe: list[str]) -> None:
    short = ["steps=2", "log_every=1", "data.batch_size=4", "eval_every=0"]
    assert cli(*recipe, *short, "name=first").code == 0
    page = Page(run_page(read_story(Path("outputs/first"))))
    line = re.search(r"repeatgan-train (.*?) copy", page.text)
    assert line
    assert cli(*shlex.split(line[1]), "name=again").code == 0
    first, again = (
        yaml.safe_load((Path("outputs") / name / "config.yaml").read_text())
        for name in ("first", "again")
    )
    assert {**again, "name": "first"} == first
    assert numbers(Path("outputs/again")) == numbers(Path("outputs/first"))


def numbers(run: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    machine = ("time", "images_per_s", "system/")
    return [{k: v for k, v in line.items() if not k.startswith(machine)} for line in lines]


@pytest.mark.report
def test_a_run_and_a_sweep_leave_their_pages(cli: Cli) -> None:
    done = cli("steps=2", "name=a", "log_every=1")
    assert done.code == 0
    assert "report    outputs/a/report.html" in done.out
    assert "Finished: step 2 of 2" in Path("outputs/a/report.html").read_text()
    assert cli("steps=2", "name=b", "report=false").code == 0
    assert not Path("outputs/b/report.html").exists()
    diverged = cli("steps=50", "name=c", "log_every=1", "optimizer.lr=1e30")
    assert diverged.code == 3
    assert "training diverged" in Page(Path("outputs/c/report.html").read_text()).text
    swept = cli("-m", "name=s", "steps=2", "k=1,2", "log_every=1", "objective=loss/d")
    assert swept.code == 0
    page = Page(Path("outputs/s/report.html").read_text())
    assert "2 jobs: 2 done." in page.text
    links = {address for address in page.addresses if address.endswith("/report.html")}
    assert links == {"k-1/report.html", "k-2/report.html"}
    assert all((Path("outputs/s") / link).is_file() for link in links)
    assert cli("-m", "name=t", "steps=2", "k=1,2", "report=false").code == 0
    assert not list(Path("outputs/t").rglob("report.html"))


@pytest.mark.report
def test_a_page_that_fails_ends_no_run(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr("gan_cli.page.run_page.write_run_page", broken)
    monkeypatch.setattr("gan_cli.page.sweep_page.write_sweep_page", broken)
    done = cli("steps=2", "name=a")
    assert done.code == 0
    assert "report.html could not be written ('a bug')" in done.out
    swept = cli("-m", "name=s", "steps=2", "k=1,2")
    assert swept.code == 0
    assert "s/report.html could not be written" in swept.out


def test_commands(cli: Cli, tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 1)):
        assert cli("steps=2", f"name={name}", "log_every=1", f"seed={seed}").code == 0
    written = cli("run=outputs/a", app=commands.REPORT)
    assert written.code == 0
    assert "outputs/a/report.html" in written.out
    assert cli("run=outputs/a", "out=there/x.html", app=commands.REPORT).code == 0
    assert Path("there/x.html").is_file()
    assert cli("run=outputs/a", "out=there", app=commands.REPORT).code == 0
    assert Path("there/report.html").is_file()
    assert cli("runs=[outputs/a,outputs/b]", app=commands.REPORT).code == 0
    assert "One setting, 2 runs" in Page(Path("comparison.html").read_text()).text
    assert cli("run=outputs/a", "watch=true", app=commands.REPORT).code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "run=DIR"),
        (["run=outputs/a", "runs=[outputs/a]"], "one of"),
        (["run=nowhere"], "no such folder"),
        (["run=outputs"], "Runs in it: a"),
        (["runs=[outputs/a]"], "at least two"),
        (["runs=[outputs/a,outputs/a]"], "twice"),
        (["runs=[outputs/a,nowhere]"], "nowhere"),
        (["run=outputs/a/config.yaml"], "outputs/a"),
        (["runs=[outputs/a,outputs/b]", "watch=true"], "watch"),
        (["run=outputs/a", "out=outputs/a/config.yaml/x.html"], "out=FILE"),
    ],
)
def test_mistakes_are_one_message(cli: Cli, arguments: list[str], said: str) -> None:
    for name in ("a", "b"):
        run = Path("outputs") / name
        run.mkdir(parents=True)
        (run / "config.yaml").write_text("steps: 1\n")
    result = cli(*arguments, app=commands.REPORT)
    assert result.code == 2
    assert said in result.err
    assert "Traceback" not in result.err


def damage_nothing(run: Path) -> None:
    for path in run.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    (run / "config.yaml").write_text("a: 1\n")


def broken_picture(run: Path) -> None:
    (run / "samples").mkdir(exist_ok=True)
    (run / "samples" / "step_00000003.png").write_bytes(b"\x89PNG\r\n\x1a\n cut")


def linked_picture(run: Path) -> None:
    secret = run.parent / "secret.png"
    Image.new("RGB", (4, 4), (1, 2, 3)).save(secret)
    (run / "samples").mkdir(exist_ok=True)
    (run / "samples" / "step_00000009.png").symlink_to(secret)


DAMAGES: dict[str, Any] = {
    "config.yaml": lambda run: (run / "config.yaml").write_bytes(b"\xff{{{"),
    "config.yaml: not a config": lambda run: (run / "config.yaml").write_text("- 1\n"),
    "metrics.jsonl is missing": lambda run: (run / "metrics.jsonl").unlink(),
    "lines cannot be read": lambda run: (run / "metrics.jsonl").write_text(
        '{"step": 1, "loss/d": NaN}\n[1]\n{"step": 2, "loss/d": "x", "loss/g": 1e400}\n{"st'
    ),
    "train.log is missing": lambda run: (run / "train.log").unlink(missing_ok=True),
    "no checkpoint": lambda run: shutil.rmtree(run / "checkpoints"),
    "evaluation.json": lambda run: (run / "evaluation.json").write_text('{"eval/x": '),
    "is no evaluation": lambda run: (run / "evaluation.json").write_text("[1]"),
    "step_00000003.png": broken_picture,
    "link that leads out": linked_picture,
}


@pytest.mark.parametrize("said", DAMAGES)
def test_damaged_runs_still_have_a_page(tmp_path: Path, said: str) -> None:
    run = copy_of(GOLDEN / RUNS[0].name, tmp_path)
    DAMAGES[said](run)
    page = run_page(read_story(run))
    assert said in " ".join(Page(page).text.split())
    if "link" in said:
        import base64

        secret = base64.b64encode((tmp_path / "secret.png").read_bytes()).decode()
        assert secret not in page


def test_an_empty_run_has_a_page(tmp_path: Path) -> None:
    run = copy_of(GOLDEN / RUNS[0].name, tmp_path)
    damage_nothing(run)
    assert "Nothing was trained" in Page(run_page(read_story(run))).text


HOSTILE = "<script>alert(1)</script>\"'&\x1b[2J\u202e</script><!--"


def test_hostile_text_is_shown_as_text(tmp_path: Path) -> None:
    run = copy_of(GOLDEN / RUNS[0].name, tmp_path)
    plain = Page(run_page(read_story(run)))
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["name"] = config["model"]["name"] = config["data"]["root"] = HOSTILE
    config["objective"] = HOSTILE
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    line = {"step": 10**6, HOSTILE: 1.0, f"eval/{HOSTILE}": 2.0}
    with (run / "metrics.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")
    (run / "evaluation.json").write_text(json.dumps({"step": 1, HOSTILE: HOSTILE, "eval/a": 1}))
    story = read_story(run)
    story.events.append(Event(1, "health", f"mode collapse: {HOSTILE}"))
    story.introduction.append(HOSTILE)
    text = run_page(story)
    page = Page(text)
    assert page.tags.count("script") == plain.tags.count("script")
    assert "<script>alert" not in text
    assert "\x1b" not in text
    assert "\u202e" not in page.text
    assert "<script>alert(1)</script>" in page.text
    assert f"eval/{HOSTILE}" in page.data["curves-data"]["curves"]


def story_of(values: dict[str, list[float]], **attributes: Any) -> Story:
    series = {
        key: Series(list(range(100, 100 * len(column) + 1, 100)), column)
        for key, column in values.items()
    }
    last = max((s.steps[-1] for s in series.values()), default=0)
    story = Story(Path("x"), config={"steps": 1000}, series=series, lines=len(series))
    story.last_step = last
    for key, value in attributes.items():
        setattr(story, key, value)
    return story


TEN = [0.5] * 10


@pytest.mark.parametrize(
    ("story", "level", "said"),
    [
        (story_of({"prob/real": TEN, "prob/fake": TEN}), "good", "Finished: step 1,000 of 1,000"),
        (story_of({"loss/d": [1.0]}, running=True), "going", "Under way: step 100 of 1,000"),
        (
            story_of({"loss/d": [1.0]}, introduction=["x on y"]),
            "watch",
            "its process was killed",
        ),
        (story_of({"loss/d": [1.0]}), "watch", "The log that would say how it ended"),
        (
            story_of({"loss/d": [1.0]}, ended="stopped by SIGTERM: 100 of 1000 steps"),
            "good",
            "Stopped by SIGTERM",
        ),
        (
            story_of({"loss/d": [1.0]}, ended="training diverged at step 101"),
            "bad",
            "training diverged at step 101",
        ),
        (story_of({"health/mode_collapse": [0.0] * 9 + [1.0]}), "bad", "Mode collapse"),
        (
            story_of({"health/mode_collapse": [1.0] + [0.0] * 9, "loss/d": TEN}),
            "good",
            "Before, it found: mode collapse (step 100 to 200)",
        ),
        (
            story_of({"diversity/real": TEN, "diversity/fake": [0.1] * 10}),
            "watch",
            "only 0.20 times as much",
        ),
        (
            story_of({"eval/frechet_classifier": [9.0, 3, 5, 6, 7, 8, 9, 9, 9, 9]}),
            "good",
            "best at step 200: 3. At the end it is 9, worse (low is better)",
        ),
        (
            story_of(
                {"eval/parzen": [1.0] * 9 + [5.0], "eval/parzen_error": [2.0] * 10},
            ),
            "good",
            "The last evaluation was the best: eval/parzen is 5 ± 2 at step 1,000 (high is better)",
        ),
    ],
)
def test_the_verdict(story: Story, level: str, said: str) -> None:
    verdict = judge(story, findings_of(story))
    assert said in " ".join(verdict.sentences)
    assert verdict.level == level


def said_of(story: Story) -> str:
    verdict = judge(story, findings_of(story))
    return " ".join([*verdict.sentences, *verdict.advice])


def test_measured_values_contradict_a_d_that_says_one_half() -> None:
    far = {"divergence/jsd": [0.357], "divergence/jsd_floor": [0.0015]}
    story = story_of({"prob/real": TEN, "prob/fake": TEN, **far})
    assert judge(story, findings_of(story)).level == "watch"
    assert "52% of log 2" in said_of(story)
    story.series |= story_of({"modes/high_quality": [0.43], "discriminator/error": [0.29]}).series
    assert "Only 43% of the samples lie near a mode" in said_of(story)
    assert "so D(x) near 1/2 proves little" in said_of(story)
    near = {"divergence/jsd": [0.02], "modes/high_quality": [0.98], "discriminator/error": [0.04]}
    story = story_of({"prob/real": TEN, "prob/fake": TEN, **near})
    assert judge(story, findings_of(story)).level == "good"


def test_one_picture_a_class_is_told() -> None:
    alike = {"diversity/fake_within": [0.02] * 10, "diversity/real_within": TEN}
    story = story_of({"diversity/fake": TEN, "diversity/real": TEN, **alike})
    assert judge(story, findings_of(story)).level == "watch"
    assert "only 0.04 times as much as data of one class" in said_of(story)


def test_the_verdict_says_what_was_not_measured() -> None:
    story = story_of({"loss/d": TEN, "divergence/jsd": [0.02] * 5})
    assert "It was last measured at step 500 of 1,000" in said_of(story)
    story = story_of({"loss/d": TEN, "divergence/jsd": [0.02]}, saved=[1000])
    assert "It was measured once: eval_every=N" in said_of(story)
    assert "Nothing was measured" in said_of(story_of({"loss/d": TEN}, saved=[1000]))


def test_short_runs_are_called_short() -> None:
    story = read_story(GOLDEN / "vanilla")
    assert "0.05 % of the default 8,000 steps" in said_of(story)
    assert "go on with it" in said_of(story)


def test_resumptions_stand_in_the_verdict() -> None:
    events = [Event(step, "resumed", "resumed") for step in (200, 400)]
    assert "Resumed 2 times, at step 200, 400." in said_of(story_of({"loss/d": TEN}, events=events))


def test_a_diverged_run_without_checkpoint_is_repeated_with_a_smaller_rate(tmp_path: Path) -> None:
    run = copy_of(GOLDEN / "vanilla", tmp_path)
    shutil.rmtree(run / "checkpoints")
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["optimizer"]["lr"] = 1e6
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    story = read_story(run)
    story.ended = "training diverged at step 1: grad_norm/g=inf"
    page = Page(run_page(story))
    assert "optimizer.lr is 1e+06, the default is 0.001" in page.text
    assert re.search(r"trygan-train .*optimizer\.lr=0\.001", page.text)
    assert "gan-evaluate run=" not in page.text
    assert "resume=" not in page.text


def test_the_measured_table_names_steps_and_yardsticks() -> None:
    values = {
        "divergence/jsd": [0.3, 0.2],
        "divergence/jsd_floor": [0.01, 0.01],
        "modes/high_quality": [0.9],
        "eval/frechet_classifier": [5.0],
        "eval/nearest_fake": [0.2],
        "eval/nearest_test": [0.1],
    }
    rows = {row["key"]: row for row in evaluation_rows(story_of(values))}
    assert (rows["divergence/jsd"]["real"], rows["divergence/jsd"]["step"]) == ("0.01", "200")
    assert rows["modes/high_quality"]["real"] == "1 is perfect"
    assert rows["eval/frechet_classifier"]["real"] == "0 is perfect"
    assert rows["eval/nearest_fake"]["real"] == "0.1"
    assert "divergence/jsd_floor" not in rows


NON_SATURATING = {"loss": {"_target_": "gan_cli.losses.NonSaturating", "d_weight": 1.0}}
LEAST_SQUARES = {"loss": {"_target_": "gan_cli.losses.LeastSquares", "d_weight": 1.0}}


def chart_named(title: str, config: dict[str, Any], *keys: str) -> Chart:
    series = {key: Series([1], [0.5]) for key in keys}
    return next(chart for chart in charts_of(series, config) if chart.title == title)


def test_balance_lines_know_the_third_term() -> None:
    """D at 1/2 pays log 2 for each of its terms: two, or three with wrong labels."""
    losses = chart_named("Losses", NON_SATURATING, "loss/d", "loss/g")
    assert [value for value, _ in losses.rules] == pytest.approx([math.log(4), math.log(2)])
    third = chart_named("Losses", NON_SATURATING, "loss/d", "loss/g", "prob/mismatch")
    assert [value for value, _ in third.rules] == pytest.approx(
        [3 * math.log(2), math.log(4), math.log(2)]
    )
    assert "below -log 4" in chart_named("Value V(D,G)", {}, "value", "prob/mismatch").note
    assert "p_g = p_data" in chart_named("Value V(D,G)", {}, "value").rules[0][1]
    scaled = {"loss": {**NON_SATURATING["loss"], "d_weight": 0.5}}
    assert chart_named("Losses", scaled, "loss/d").rules == ()


def test_scores_of_least_squares_have_targets() -> None:
    rules = chart_named("D's scores", LEAST_SQUARES, "score/real", "score/fake").rules
    assert [value for value, _ in rules] == [1.0, 0.5, 0.0]
    assert chart_named("D's scores", {}, "score/real").rules == ()


def test_the_verdict_advises_the_monitors_remedy() -> None:
    story = story_of({"health/discriminator_wins": [1.0] * 10})
    assert "regularizer=[instance_noise]" in " ".join(judge(story, findings_of(story)).advice)


def test_flags_become_spans() -> None:
    series = Series([1, 2, 3, 4, 5, 6], [0, 1, 1, 0, 1, 1])
    assert spans_of(series, end=9) == [(2, 4), (5, 9)]


def test_many_lines_are_joined_to_means_within_their_range() -> None:
    points = [(step, math.sin(step)) for step in range(1, 10_001)]
    steps, mean, low, high = thin(points)
    assert len(steps) == MOST_POINTS
    assert steps[-1] == 10_000
    assert all(a <= b <= c for a, b, c in zip(low, mean, high, strict=True))
    assert (min(low), max(high)) == (min(v for _, v in points), max(v for _, v in points))
    weights = np.diff([0, *steps])
    assert np.average(mean, weights=weights) == pytest.approx(np.mean([v for _, v in points]))
    assert thin(points[:5])[1] == [v for _, v in points[:5]]


def test_values_that_are_not_finite_are_left_out_and_counted() -> None:
    curves = Curves()
    curves.add("x", Series([1, 2, 3], [1.0, math.nan, math.inf]))
    assert curves.curves["x"]["y"] == [1.0]
    assert curves.curves["x"]["lost"] == 2
    json.dumps(curves.as_json(), allow_nan=False)


def test_errors_are_drawn_as_a_band() -> None:
    curves = Curves()
    curves.add("x", Series([1, 2], [5.0, 6.0]), Series([1, 2], [0.5, 1.0]))
    assert (curves.curves["x"]["low"], curves.curves["x"]["high"]) == ([4.5, 5.0], [5.5, 7.0])


def test_every_logged_key_is_drawn_once() -> None:
    run = next(run for run in RUNS if "cyclegan" in run.name)
    story = read_story(run)
    keys = [key for chart in charts_of(story.series, story.config) for key in chart.keys]
    drawn = [key for key in keys if key in story.series]
    assert len(drawn) == len(set(drawn))
    left_out = set(story.series) - set(drawn)
    assert {key for key in left_out if not key.startswith(("time", "health/"))} == set()


def test_directions_are_known_where_they_have_a_meaning() -> None:
    assert better("eval/frechet_classifier") == "low"
    assert better("eval/label_agreement_a2b") == "high"
    assert better("eval/parzen_error") is None
    assert better("loss/g") is None


def pictures(folder: Path, count: int, *, side: int = 8) -> list[tuple[int, Path]]:
    files = []
    random = np.random.default_rng(0)
    for step in range(count):
        path = folder / f"step_{step:08d}.png"
        Image.fromarray(random.integers(0, 256, (side, side, 3), dtype=np.uint8)).save(path)
        files.append((step, path))
    return files


def test_pictures_that_fit_are_taken_as_they_are(tmp_path: Path) -> None:
    import base64

    files = pictures(tmp_path, 4)
    strip = embed(files, budget=10**6)
    assert [step for step, _ in strip.frames] == [0, 1, 2, 3]
    content = base64.b64decode(strip.frames[2][1].partition(",")[2])
    assert content == files[2][1].read_bytes()
    assert strip.note == ""


def test_pictures_that_do_not_fit_are_evenly_spaced(tmp_path: Path) -> None:
    files = pictures(tmp_path, 41, side=64)
    strip = embed(files, budget=40_000)
    steps = [step for step, _ in strip.frames]
    assert (steps[0], steps[-1]) == (0, 40)
    assert len(steps) > 2
    assert max(np.diff(steps)) - min(np.diff(steps)) <= 1
    assert strip.bytes < 60_000
    assert strip.note == f"{len(steps)} of 41 pictures, evenly spaced"


def test_damaged_pictures_are_named(tmp_path: Path) -> None:
    files = pictures(tmp_path, 3)
    files[1][1].write_bytes(files[1][1].read_bytes()[:60])
    strip = embed(files, budget=10**6)
    assert strip.damaged == ["step_00000001.png"]
    assert [step for step, _ in strip.frames] == [0, 2]


def run_with(name: str, changes: dict[str, Any], values: dict[str, float]) -> Story:
    config = yaml.safe_load((RUNS[0] / "config.yaml").read_text())
    for key, value in changes.items():
        node = config
        *parents, last = key.split(".")
        for parent in parents:
            node = node[parent]
        node[last] = value
    series = {key: Series([10], [value]) for key, value in values.items()}
    return Story(Path(name), config=config, series=series, lines=1, last_step=10)


def test_runs_that_differ_in_their_seed_are_one_setting() -> None:
    runs = [
        run_with(f"{lr}-{seed}", {"seed": seed, "optimizer.lr": lr, "name": f"{lr}"}, {})
        for lr in (0.1, 0.2)
        for seed in (0, 1, 2)
    ]
    settings = settings_of(runs)
    assert [len(setting.runs) for setting in settings] == [3, 3]
    assert [setting.values for setting in settings] == [
        {"optimizer.lr": 0.1},
        {"optimizer.lr": 0.2},
    ]
    assert [setting.label for setting in settings] == ["A: optimizer.lr=0.1", "B: optimizer.lr=0.2"]


@pytest.mark.parametrize("shift", [0.0, 0.5, 1.0, 2.0, 4.0])
def test_differences_are_judged_by_welchs_test(shift: float) -> None:
    random = np.random.default_rng(1)
    a, b = random.normal(0, 1, 3), random.normal(shift, 2, 4)
    expected = scipy.stats.ttest_ind(a, b, equal_var=False).pvalue < 0.05
    one, other = (
        Estimate(float(x.mean()), float(x.std(ddof=1) / math.sqrt(len(x))), len(x)) for x in (a, b)
    )
    assert differ(one, other) is bool(expected)


def test_single_runs_are_judged_by_the_error_of_the_measurement() -> None:
    assert differ(Estimate(1.0, 0.1, 1), Estimate(1.2, 0.1, 1)) is False  # 1.41 errors
    assert differ(Estimate(1.0, 0.1, 1), Estimate(1.3, 0.1, 1)) is True  # 2.1 errors
    assert differ(Estimate(1.0, None, 1), Estimate(9.0, 0.1, 1)) is None


def test_a_comparison_says_which_differences_are_larger_than_the_noise() -> None:
    key = "eval/frechet_classifier"
    runs = [
        run_with(f"{lr}-{seed}", {"seed": seed, "optimizer.lr": lr}, {key: value + 0.1 * seed})
        for lr, value in ((0.1, 5.0), (0.2, 9.0), (0.3, 5.05))
        for seed in (0, 1, 2)
    ]
    page = Page(comparison_page(runs))
    assert "A is better than B beyond the noise; A and C cannot be told apart" in page.text
    assert "5.1 ± 0.05774 (3 seeds), spread 0.1, rank 1-2" in page.text
    assert "9.1 ± 0.05774 (3 seeds), spread 0.1, rank 3" in page.text
    assert "which has the best value, but C cannot be told apart from it" in page.text
    assert "By eval/frechet_classifier (low is better)" in page.text


def test_a_comparison_gives_intervals_and_paths() -> None:
    values = {"eval/frechet_classifier": 5.0, "eval/frechet_classifier_error": 1.0}
    values |= {"eval/diversity_fake": 1.0, "eval/diversity_fake_error": 0.1}
    first = run_with("here/a", {"optimizer.lr": 0.1}, values)
    values |= {"eval/frechet_classifier": 9.0, "eval/diversity_fake": 2.0}
    page = Page(comparison_page([first, run_with("here/b", {"optimizer.lr": 0.2}, values)]))
    assert "B - A = 4 ± 2.772" in page.text  # 1.96 sqrt 2
    assert "B differs from A beyond the noise" in page.text or (
        "A differs from B beyond the noise" in page.text
    )
    assert "here/a" in page.text
    assert "repeat the first run of A" in page.text


def test_a_sweeps_page_ranks_finished_jobs_and_says_why_others_failed(tmp_path: Path) -> None:
    from gan_cli.page.sweep_page import write_sweep_page

    made = (("a", 3.0, "done"), ("b", 1.0, "done"), ("c", 0.0, "failed"), ("d", 1.1, "done"))
    for job, value, state in made:
        record = Record(
            job, "m", swept={"k": job}, objective="eval/fid", direction="minimize", state=state
        )
        record.message = f"it broke <b>{job}</b>\nin detail" if state == "failed" else ""
        record.write(tmp_path)
        (tmp_path / job).mkdir()
        line = {"step": 1, "eval/fid": value, "eval/fid_error": 0.2}
        (tmp_path / job / "metrics.jsonl").write_text(json.dumps(line) + "\n")
    assert write_sweep_page(tmp_path, tmp_path / "report.html") == 4
    text = (tmp_path / "report.html").read_text()
    page = Page(text)
    assert "4 jobs: 3 done, 1 failed." in page.text
    assert "b with 1 ± 0.2" in page.text
    assert "Cannot be told apart from it: d." in page.text
    assert text.count('<td class="number">1-2</td>') == 2  # b and d; a is the third
    assert '<td class="number">3</td><td>worse beyond the noise</td>' in text
    assert "another seed may change more" in page.text
    assert [job["job"] for job in page.data["sweep-data"]["jobs"]] == ["b", "d", "a", "c"]
    assert "it broke <b>c</b>" in page.text
    assert len(text) < LARGEST


def sweep_job(folder: Path, job: str, swept: dict[str, str], value: float, **config: Any) -> None:
    Record(job, "m", swept=swept, objective="eval/fid", direction="minimize", state="done").write(
        folder
    )
    (folder / job).mkdir()
    line = {"step": 1, "eval/fid": value, "eval/fid_error": 0.1}
    (folder / job / "metrics.jsonl").write_text(json.dumps(line) + "\n")
    (folder / job / "config.yaml").write_text(yaml.safe_dump(config))


def test_a_sweeps_page_takes_the_mean_over_seeds(tmp_path: Path) -> None:
    from gan_cli.page.sweep_page import write_sweep_page

    for k, values in ((1, (1.0, 5.0)), (2, (4.0, 4.2)), (3, (8.0, 8.1))):
        for seed, value in enumerate(values):
            swept = {"k": str(k), "seed": str(seed)}
            sweep_job(tmp_path, f"k-{k}_seed-{seed}", swept, value, k=k, seed=seed)
    sweep_job(tmp_path, "seed-0", {"seed": "0"}, 20.0, k=9, seed=0)
    write_sweep_page(tmp_path, tmp_path / "report.html")
    page = Page((tmp_path / "report.html").read_text())
    assert "Best setting by eval/fid (low is better): k=1 with 3 ± 2, the mean of 2 seeds." in (
        page.text
    )
    assert "Cannot be told apart from it: k=2; k=3" in page.text  # two seeds prove little
    assert "Settings with one seed have the error of their measurement alone" in page.text
    text = (tmp_path / "report.html").read_text()
    assert '<td class="number">2.828</td><td class="number">2</td><td class="number">1-4<' in text
    jobs = {job["job"]: job["values"] for job in page.data["sweep-data"]["jobs"]}
    assert jobs["seed-0"] == ["9", "0"]  # its config says k


def test_the_charting_library_is_the_one_whose_digest_is_known() -> None:
    script = vl_convert.javascript_bundle()  # type: ignore[call-arg]
    known = vega.KNOWN[version("vl-convert-python")]
    assert hashlib.sha256(script.encode()).hexdigest() == known
    assert "</script" not in script.lower()
    assert "<!--" not in script


def test_a_script_that_somebody_put_into_the_cache_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vega, "kept_in", lambda: tmp_path)
    script = vega.vega_script()
    (file,) = tmp_path.iterdir()
    assert file.read_text() == script
    file.write_text(script + "alert(1)")
    assert vega.vega_script() == script
    assert file.read_text() == script
