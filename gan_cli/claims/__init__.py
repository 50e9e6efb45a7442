"""The papers' claims, one module each: what it says, an experiment, a number, a verdict.

Read them from first to last: they follow the notes from the two players to CycleGAN.
"""
