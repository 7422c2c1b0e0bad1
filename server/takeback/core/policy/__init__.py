"""The policy: what the file may say, how it is read, and what it decides about a call."""
