"""The driven side: one file per port and service."""
