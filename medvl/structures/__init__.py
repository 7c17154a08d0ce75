"""Name -> 3-D mask."""
