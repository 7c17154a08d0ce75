"""Message -> requests -> results -> checked sentences."""
