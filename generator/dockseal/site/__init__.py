"""Read a site file, and judge it: from YAML with positions to a frozen model."""
