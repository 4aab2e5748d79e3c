"""The commands of `varan io`, for whoever has an image open."""
