"""What can go wrong, by kind: one root, and children a stranger's `except` also catches."""

from __future__ import annotations


class LandvisorError(Exception):
    """Say in one line what was found, what was needed and what to do."""


class SceneError(LandvisorError, ValueError):
    """Imagery that cannot be opened, read or placed."""


class DamageError(SceneError):
    """Part of a file that opens but does not read there."""


class LegendError(LandvisorError, ValueError):
    """Classes that contradict each other or the labels."""


class PointsError(LandvisorError, ValueError):
    """Labelled places that cannot be used on this imagery."""


class CollectionError(LandvisorError, ValueError):
    """A set of scenes that does not hold together."""


class RecipeError(LandvisorError, ValueError):
    """An option that does not exist or has a value it cannot take."""


class ModelError(LandvisorError, ValueError):
    """A model file that is not ours, is damaged, or does not fit the scene."""


class AssessmentError(LandvisorError, ValueError):
    """Reference labels that cannot say how good a map is."""


class OutputError(LandvisorError, OSError):
    """An output that exists already, cannot be written, or came back wrong."""


class StudyError(LandvisorError, ValueError):
    """A study that asks for what cannot be done or must not be compared, or lacks runs."""
