"""qcow2: images that grow, with backing files, snapshots, compression and more (docs/interop/qcow2 of the format's authors)."""
