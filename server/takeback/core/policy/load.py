"""Placeholder until the loader lands."""
from __future__ import annotations
import re, tomllib
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from takeback.core.canonical import digest
from takeback.core.policy.schema import PolicyFile, Rule

@dataclass(frozen=True)
class NumberedRule:
    id: str
    rule: Rule

@dataclass(frozen=True)
class Policy:
    file: PolicyFile
    digest: str
    rules: tuple[NumberedRule, ...]
    secrets: frozenset[str] = frozenset()
    _c: dict = field(default_factory=dict)
    def rules_for(self, tool):
        if tool not in self._c:
            self._c[tool] = tuple(n for n in self.rules if fnmatchcase(tool, n.rule.tool))
        return self._c[tool]

def load(text, *, env, source="policy.toml"):
    raw = tomllib.loads(text.decode() if isinstance(text, bytes) else text)
    def sub(v):
        if isinstance(v, str):
            def r(m):
                n, _, d = m[1].partition(":-")
                return env.get(n, d)
            return re.sub(r"\$\{([^}]+)\}", r, v)
        if isinstance(v, dict): return {k: sub(x) for k, x in v.items()}
        if isinstance(v, list): return [sub(x) for x in v]
        return v
    d = digest(raw)
    raw = {k: sub(v) if k in ("upstream", "ledger") else v for k, v in raw.items()}
    f = PolicyFile.model_validate(raw)
    return Policy(f, d, tuple(NumberedRule(r.id or f"rule {i} ({r.tool})", r) for i, r in enumerate(f.rule, 1)))
