"""The alternating loop, and what keeps it honest."""
