"""qcow2: images that grow, with backing files, snapshots, compression and more."""
