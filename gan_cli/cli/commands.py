"""The console scripts: their names, root configs, help pages, and the modules of their tasks."""

from __future__ import annotations

from gan_cli.cli.app import App
from gan_cli.cli.help import (
    CLAIMS_HELP,
    EVALUATE_HELP,
    EXPORT_HELP,
    REPORT_HELP,
    SAMPLE_HELP,
    TRANSLATE_HELP,
    train_help,
)

TRAIN = App("gan-train", "train", help_page=train_help, task="gan_cli.train", sweeps=True)
SAMPLE = App("gan-sample", "sample", help_page=lambda: SAMPLE_HELP, task="gan_cli.sample")
TRANSLATE = App(
    "gan-translate", "translate", help_page=lambda: TRANSLATE_HELP, task="gan_cli.translate"
)
EVALUATE = App("gan-evaluate", "evaluate", help_page=lambda: EVALUATE_HELP, task="gan_cli.evaluate")
CLAIMS = App("gan-claims", "claims", help_page=lambda: CLAIMS_HELP, task="gan_cli.claims.command")
REPORT = App("gan-report", "report", help_page=lambda: REPORT_HELP, task="gan_cli.report")
EXPORT = App("gan-export", "export", help_page=lambda: EXPORT_HELP, task="gan_cli.export")

# What the console scripts call.
train, sample, translate = TRAIN.main, SAMPLE.main, TRANSLATE.main
evaluate, report, claims = EVALUATE.main, REPORT.main, CLAIMS.main
export = EXPORT.main
