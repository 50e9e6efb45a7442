"""Self-contained HTML pages: what a run, a comparison or a sweep looks like."""
