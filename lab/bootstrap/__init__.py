"""Set-up of a bare machine: Python and make are all that is there. Standard library only."""
