"""One verb per file; keyword arguments are exactly the ports that it may touch."""
