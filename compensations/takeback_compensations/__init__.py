"""The ways in which a write is taken back."""
