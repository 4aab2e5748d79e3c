"""Whole-image work (convert, compare, commit, ...) as library functions over nodes. The command line is one of its users."""
