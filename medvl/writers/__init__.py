"""Masks, measurements and surfaces -> files."""
