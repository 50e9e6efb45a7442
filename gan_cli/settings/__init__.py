"""Configs: their types, what they must mean, and the objects they describe."""
