"""Sweeps: many runs from one command line, and one table of them all."""
