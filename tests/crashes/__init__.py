"""Guards are killed at every boundary, and what is left is judged: `make crashes`, docs/crashes.md."""
