"""A model of the world that judges undo: a simple service that notes who wrote what, schedules, and an oracle."""
