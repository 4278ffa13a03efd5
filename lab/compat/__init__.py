"""What two versions may run on together: the catalogue of changes, the levels of the matrix, and what they find."""
