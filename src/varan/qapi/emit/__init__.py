"""Python code from a schema: one module per file of `varan.api`."""
