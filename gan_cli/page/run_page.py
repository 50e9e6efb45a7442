"""The page of one run."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from gan_cli.page.charts import MACHINE, Chart, charts_of
from gan_cli.page.commands import commands_of
from gan_cli.page.curves import Curves, chart_json
from gan_cli.page.embed import BUDGET, Strip, embed
from gan_cli.page.evaluated import evaluation_rows
from gan_cli.page.explore import SCRIPTS as EXPLORER_SCRIPTS
from gan_cli.page.explore import Explorer, explorer
from gan_cli.page.reading import read_story
from gan_cli.page.render import render, write_page
from gan_cli.page.story import Story
from gan_cli.page.verdict import Finding, duration, findings_of, judge, spans_text
from gan_cli.runs import checkpoint
from gan_cli.runs.log import REAL, SAMPLES
from gan_cli.runs.resume import PLACE, STARTING
from gan_cli.runs.summary import NOT_SETTINGS
from gan_cli.settings.defaults import NAMED, changed_options
from gan_cli.system.files import strange_entries

RELOAD_SECONDS = 5
#: What folders of pictures hold, in words; others go by their own name.
FOLDERS = {
    SAMPLES: "Samples of fixed noise",
    "theory": "Densities and D, as in Figure 1",
    "filters": "First filters of D",
    "curve": "Samples over the curve of the data",
    "nearest": "Samples and their nearest training data",
}
DOMAINS = ("_a", "_b")  # endings of keys
SAMPLES_SHARE = 0.6  # of the bytes for pictures


def write_run_page(
    directory: Path, file: Path, *, running: bool | None = None, reload: bool = False
) -> Story:
    """Write the page of a run.

    Args:
        directory: of the run.
        file: to write.
        running: whether a process trains in it; None: find out.
        reload: let the page load itself anew every few seconds while the run goes on.

    Returns:
        What was read.

    Raises:
        UserError: it cannot be written.
    """
    story = read_story(directory, running=running)
    write_page(file, run_page(story, reload=reload))
    return story


def run_page(story: Story, *, reload: bool = False) -> str:
    """The page of a run that was read."""
    findings = findings_of(story)
    strips = strips_of(story)
    curves = Curves()
    curves.add_all(story.series)
    charts = charts_of(story.series, story.config)
    drawn = [chart_of(chart, index, curves) for index, chart in enumerate(charts)]
    explored = explorer_of(story)
    real = real_picture(story)
    return render(
        "run.html",
        scripts=("player.js",),
        more=EXPLORER_SCRIPTS if explored.payload else (),
        title=story.name,
        reload=RELOAD_SECONDS if reload and story.running else 0,
        story=story,
        verdict=judge(story, findings),
        findings=[finding_row(finding) for finding in findings],
        strips=[
            {"folder": name, "title": title_of(name, story), "strip": strip}
            for name, strip in strips.items()
        ],
        pictures=pictures_json(strips, real),
        has_real=real is not None,
        lacks_real=real is None and story.kind == "images",
        names=[name_in(story.config, group) for group in ("model", "data")],
        charts=list(zip(charts, drawn, strict=True)),
        machine=MACHINE,
        curves={**curves.as_json(), "charts": drawn, "events": events_json(story, findings)},
        evaluations=evaluation_rows(story),
        evaluated=story.evaluation,
        differences=difference_rows(story),
        config=yaml.safe_dump(story.config, sort_keys=False, allow_unicode=True),
        commands=commands_of(story),
        timing=timing_rows(story),
        explorer=explored,
    )


def explorer_of(story: Story) -> Explorer:
    """G for the page, unless it would come from elsewhere."""
    strange = strange_entries(story.directory)
    if any(entry.startswith(checkpoint.FOLDER) for entry in strange):
        return Explorer(None, f"{checkpoint.FOLDER}/ holds or is a link that leads out of the run.")
    return explorer(story.directory)


def title_of(folder: str, story: Story) -> str:
    """What a folder of pictures holds, in words."""
    if folder == SAMPLES and story.kind == "pairs":
        return "Translations of fixed images"
    return FOLDERS.get(folder, folder)


def name_in(config: Mapping[str, Any], group: str) -> str:
    """The name of the model or the data."""
    node = config.get(group)
    return str(node.get("name", "?")) if isinstance(node, Mapping) else "?"


def strips_of(story: Story) -> dict[str, Strip]:
    """The pictures of each folder, samples first and with most of the room."""
    folders = sorted(story.pictures, key=lambda name: (name != SAMPLES, name))
    strips, left = {}, BUDGET
    for index, name in enumerate(folders):
        others = len(folders) - index - 1
        share = SAMPLES_SHARE if name == SAMPLES and others else 1 / (others + 1)
        strips[name] = embed(story.pictures[name], budget=int(left * share))
        left = max(0, left - strips[name].bytes)
        if damaged := strips[name].damaged:
            story.damage.append(f"{name}/: {', '.join(damaged[:5])} cannot be read.")
    return {name: strip for name, strip in strips.items() if strip.frames}


def real_picture(story: Story) -> str | None:
    """The sheet of real data that the run has drawn, as an address; None: it has none."""
    file = story.directory / SAMPLES / REAL
    if file.is_symlink() or not file.is_file():
        return None
    strip = embed([(0, file)], budget=BUDGET // 4)
    return strip.frames[0][1] if strip.frames else None


def pictures_json(strips: Mapping[str, Strip], real: str | None) -> dict[str, Any]:
    """The pictures as the page's script reads them."""
    frames = {
        name: [{"step": step, "src": source} for step, source in strip.frames]
        for name, strip in strips.items()
    }
    return {"folders": frames, "real": real}


def chart_of(chart: Chart, index: int, curves: Curves) -> dict[str, Any]:
    """A chart with those of its curves that the run has."""
    keys = [key for key in chart.keys if key in curves.curves]
    drawn = chart_json(chart, [(key, key) for key in keys], f"chart-{index}")
    if any(key.endswith(DOMAINS) for key in keys):  # a colour for each domain, dashes for real data
        for key, entry in zip(keys, drawn["series"], strict=True):
            domain = [key.endswith(ending) for ending in DOMAINS]
            entry |= {"color": domain.index(True) if any(domain) else len(DOMAINS)}
            entry |= {"dash": "/real" in key}
    return drawn


def events_json(story: Story, findings: list[Finding]) -> dict[str, Any]:
    """What is marked on the axis of steps."""
    marks = [{"step": event.step, "kind": event.kind, "text": event.text} for event in story.events]
    spans = [
        {"from": a, "to": b, "text": finding.name} for finding in findings for a, b in finding.spans
    ]
    return {"marks": marks, "spans": spans}


def finding_row(finding: Finding) -> dict[str, Any]:
    """A finding as the page lists it."""
    return {
        "name": finding.name,
        "when": spans_text(finding),
        "text": finding.text,
        "active": finding.active,
        "step": finding.spans[-1][0] if finding.spans else None,
    }


def difference_rows(story: Story) -> list[dict[str, str]]:
    """The options that are not the default ones, and the keys that differ from their options'."""
    try:
        options = changed_options(story.config)
    except Exception:  # noqa: BLE001  (a damaged config may hold anything)
        return []
    rows = [
        {"key": group, "value": option, "default": ""}
        for group, option in options.items()
        if group not in NAMED
    ]
    return rows + [
        {"key": key, "value": in_yaml(value), "default": in_yaml(default)}
        for key, (value, default) in story.changes.items()
        if key not in STARTING | PLACE and not key.startswith(NOT_SETTINGS)
    ]


def in_yaml(value: object) -> str:
    """A value as a config writes it."""
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=1000)
    return text.removesuffix("\n").removesuffix("\n...")


def timing_rows(story: Story) -> list[tuple[str, str]]:
    """Where the time went, from what is logged."""
    series = story.series
    if "time" not in series or len(series["time"].steps) < 2:
        return []
    steps, seconds = series["time"].steps, series["time"].values
    pairs = list(zip(steps, seconds, strict=True))
    paces = sorted((t - s) / (b - a) for (a, s), (b, t) in itertools.pairwise(pairs) if t >= s)
    if not paces:
        return []
    median = paces[len(paces) // 2]
    rows = [
        ("training in all", duration(seconds[-1])),
        ("a step (median)", f"{1000 * median:.3g} ms"),
    ]
    beside = seconds[-1] - median * steps[-1]
    if beside > 0 and seconds[-1] > 0:
        share = beside / seconds[-1]
        rows.append(
            ("pictures, evaluations and slower steps", f"{duration(beside)} ({share:.0%} of all)")
        )
    if "system/data_wait" in series:
        waits = series["system/data_wait"].values
        rows.append(("waiting for data", f"{sum(waits) / len(waits):.1%} of the time, on average"))
    if "images_per_s" in series:
        rates = sorted(series["images_per_s"].values)
        rows.append(("real data a second (median)", f"{rates[len(rates) // 2]:,.0f}"))
    for key, what in (("system/memory_mib", "memory"), ("system/gpu_memory_mib", "GPU memory")):
        if key in series:
            rows.append((f"peak {what}", f"{max(series[key].values):,.0f} MiB"))
    return rows
