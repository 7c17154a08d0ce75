"""MedVL-SAM2."""
