"""Geometry, volumes, prompts and masks: everything on the grid of one CT, no network."""
