"""The four stages of the vision-language model."""
