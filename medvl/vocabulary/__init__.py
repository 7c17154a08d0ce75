"""Structures, their names, and how they are written in a sentence."""
