"""One file a box of the paper's figure, its config beside it."""
