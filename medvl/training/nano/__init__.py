"""The networks of the bundle."""
