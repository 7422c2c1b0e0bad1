"""What became of every write that the tests made on real systems, from the ledgers that they leave behind."""
