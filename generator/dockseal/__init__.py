"""Turn one site file into plain bash scripts for Docker over mutual TLS."""

__version__ = "0.1.0"
