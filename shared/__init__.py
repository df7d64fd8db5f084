"""The emergency-calling core: domain, use cases, ports and adapters."""
