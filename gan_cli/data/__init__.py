"""Data sources: described by the configuration, loaded once, drawn from by index."""
