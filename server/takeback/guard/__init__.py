"""The shell that carries an action through its life, and the use cases that the faces call."""
