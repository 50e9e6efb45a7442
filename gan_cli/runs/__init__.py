"""Run directories: what is in them, how they are gone on with, what is told of them."""
