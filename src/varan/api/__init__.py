"""The machine protocol in Python: generated from varan/schema by `python -m varan.qapi.generate`."""
