"""From a person's words to measured, grounded sentences."""
