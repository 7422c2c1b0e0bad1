"""The fault matrix: what goes wrong, on each kind of upstream, for each kind of write, and what came of it."""
