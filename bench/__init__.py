"""Side-by-side measurements against real QEMU: `python -m bench`, or one part by its name."""
