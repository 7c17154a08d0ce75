"""The package's own exceptions: each message says what was wrong and what to do.

The page shows the message as a toast, the command line prints it, the API returns it; so it must
make sense to a person and must not hold a path, a patient name or another header field.
"""

from __future__ import annotations


class MedVLError(Exception):
    """Base of every error that a user can cause or mend."""


class CTReadError(MedVLError):
    """The file or folder could not be read as one CT volume."""


class PromptError(MedVLError):
    """A point, box or text prompt does not fit the volume."""


class WeightsError(MedVLError):
    """Model weights are missing, incomplete or of another layout."""


class ExportError(MedVLError):
    """A mask or measurement could not be written, for instance in the source's geometry."""


class ConfigError(MedVLError):
    """A training configuration has unknown keys or values that do not fit."""


class TrainingError(MedVLError):
    """Training cannot go on: data without what the stage needs, or a loss that is no number."""


class Cancelled(MedVLError):  # noqa: N818 - not an error of anybody
    """The caller asked to stop before there was any result."""
