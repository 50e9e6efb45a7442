"""Sweeps: every job of a multirun in a folder of its own, and one table of them all.

Jobs may run in other processes or on other machines (Hydra's launcher plugins), so each job keeps
a small record of itself in `<sweep>/.jobs/`. A job whose run exists resumes it. So the same command
again skips the jobs that are done, and resumes those that were interrupted.
"""
