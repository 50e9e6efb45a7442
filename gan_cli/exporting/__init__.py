"""Generators as files for other programs, with scripts, a proof and a model card."""
