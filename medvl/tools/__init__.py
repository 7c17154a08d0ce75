"""What looks and measures: every number of the product is made here."""
