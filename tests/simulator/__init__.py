"""A deterministic simulator of the whole system: virtual time, seeded faults, invariants."""
