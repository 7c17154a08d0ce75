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


class CallError(MedVLError):
    """A call of a tool names a tool, field, structure or value that there is not."""


class ExportError(MedVLError):
    """A mask or measurement could not be written, for instance in the source's geometry."""


class CaseFileError(MedVLError):
    """A saved case cannot be opened: damaged, unsafe, of a later version, or of another scan."""


class RegistrationError(MedVLError):
    """Two scans cannot be laid over each other: they show different bodies or regions."""


class ConfigError(MedVLError):
    """A training configuration has unknown keys or values that do not fit."""


class TrainingError(MedVLError):
    """Training cannot go on: data without what the stage needs, or a loss that is no number."""


class GpuError(MedVLError):
    """A GPU that is lent a call at a time cannot be had now, or its process ended early."""


class Cancelled(MedVLError):  # noqa: N818 - not an error of anybody
    """The caller asked to stop before there was any result."""
