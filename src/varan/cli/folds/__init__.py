"""What each option does to a `Builder`: one module per group of the option table."""
