"""Planners: messages to calls. See ``planning.Planner``."""
