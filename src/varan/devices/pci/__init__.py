"""The PCI bus (PCI Local Bus Specification 3.0): functions, buses, bridges, interrupts, a chipset."""
