"""How the ledger's tables came to be what they are. A migration is history: it imports nothing of today's schema."""
