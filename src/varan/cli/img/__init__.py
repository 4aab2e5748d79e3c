"""`varan img`: qemu-img's commands over Varan's block layer. A file per subcommand."""
