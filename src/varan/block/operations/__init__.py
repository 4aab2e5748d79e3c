"""Whole-image work (convert, compare, commit...) as library functions over nodes; the command line is one user."""
