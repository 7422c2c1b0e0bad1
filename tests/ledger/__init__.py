"""The ledger: one behavioural suite, run against both databases."""
