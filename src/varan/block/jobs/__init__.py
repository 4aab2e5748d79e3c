"""Jobs on block nodes that a guest goes on using: stream, commit, mirror, backup."""
