"""`varan io`: qemu-io's commands over Varan's block layer, for exercising images and the code that reads them."""
