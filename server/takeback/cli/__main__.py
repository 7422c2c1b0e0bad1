"""`python -m takeback.cli`."""

from takeback.cli import main

main()
