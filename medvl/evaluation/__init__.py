"""Metrics and protocols; run with ``python -m medvl.evaluation``."""
