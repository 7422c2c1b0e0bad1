"""Lost replies and other faults: what an agent gets directly, behind public proxies, and behind the guard."""
