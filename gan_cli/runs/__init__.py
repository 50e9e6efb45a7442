"""Run directories: what they hold, how a run is resumed, and what it reports."""
