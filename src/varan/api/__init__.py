"""The machine protocol in Python: generated from a schema by `varan qapi generate`."""
