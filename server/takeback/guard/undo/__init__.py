"""Undo: what is meant, how it stands, what rests on it, and the compensation carried out like any other action."""
