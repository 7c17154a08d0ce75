"""Messages with their calls, for whatever learns to plan."""
