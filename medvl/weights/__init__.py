"""Where weights come from, and how files become tensors on a device."""
