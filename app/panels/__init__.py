"""The panels beside the viewer; each with its script, style and template."""
