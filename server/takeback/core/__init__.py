"""The pure core: what an action is, what may happen to it, and what follows from what was read.

Nothing in here awaits, reads a clock, draws an identifier or does I/O; time, identifiers and everything read
from the world come in as arguments. The shell (`takeback.guard`) carries out what the core decides.
"""
