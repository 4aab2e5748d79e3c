"""IDE: the PIIX3's two channels, disks (ATA) and optical drives (ATAPI)."""
