"""Registers, bits and commands of ATA drives (ATA/ATAPI-6, T13/1410D, sections 7 and 8)."""

from __future__ import annotations

SECTOR = 512

# The command block, by offset from its first port.
DATA = 0
ERROR = FEATURES = 1
SECTOR_COUNT = INTERRUPT_REASON = 2
LBA_LOW = 3
LBA_MID = BYTE_COUNT_LOW = 4
LBA_HIGH = BYTE_COUNT_HIGH = 5
DEVICE = 6
STATUS = COMMAND = 7

# Status (7.15).
ERR = 0x01
"""For packet devices: CHK."""
DRQ = 0x08
DSC = 0x10
"""Seek complete, or SERV of packet devices; ATA/ATAPI-6 calls it command-specific."""
DF = 0x20
DRDY = 0x40
BSY = 0x80

# Error (7.9 and the commands).
ABRT = 0x04
IDNF = 0x10
UNC = 0x40

# Device control (7.8).
NIEN = 0x02
SRST = 0x04
HOB = 0x80
"""The previous content of the registers that 48-bit commands write twice is read."""

# Device (7.7).
DEV = 0x10
LBA = 0x40
OBSOLETE = 0xA0
"""Read as ones by old drivers, and by drives."""

# Interrupt reason of packet devices (7.13).
CD = 0x01
IO = 0x02

DIAGNOSTIC_PASSED = 0x01

# Commands (8, and annex of the older ones).
NOP = 0x00
DATA_SET_MANAGEMENT = 0x06
DEVICE_RESET = 0x08
RECALIBRATE = range(0x10, 0x20)
READ_SECTORS = (0x20, 0x21)
READ_SECTORS_EXT = 0x24
READ_DMA_EXT = 0x25
READ_NATIVE_MAX_EXT = 0x27
READ_MULTIPLE_EXT = 0x29
WRITE_SECTORS = (0x30, 0x31)
WRITE_SECTORS_EXT = 0x34
WRITE_DMA_EXT = 0x35
WRITE_MULTIPLE_EXT = 0x39
WRITE_VERIFY = 0x3C
WRITE_DMA_FUA_EXT = 0x3D
VERIFY_SECTORS = (0x40, 0x41)
VERIFY_SECTORS_EXT = 0x42
SEEK = range(0x70, 0x80)
EXECUTE_DIAGNOSTIC = 0x90
INITIALIZE_PARAMETERS = 0x91
PACKET = 0xA0
IDENTIFY_PACKET = 0xA1
READ_MULTIPLE = 0xC4
WRITE_MULTIPLE = 0xC5
SET_MULTIPLE = 0xC6
READ_DMA = (0xC8, 0xC9)
WRITE_DMA = (0xCA, 0xCB)
WRITE_MULTIPLE_FUA_EXT = 0xCE
STANDBY_IMMEDIATE = (0xE0, 0x94)
IDLE_IMMEDIATE = (0xE1, 0x95)
STANDBY = (0xE2, 0x96)
IDLE = (0xE3, 0x97)
CHECK_POWER = (0xE5, 0x98)
SLEEP = (0xE6, 0x99)
FLUSH_CACHE = 0xE7
FLUSH_CACHE_EXT = 0xEA
IDENTIFY = 0xEC
SET_FEATURES = 0xEF
READ_NATIVE_MAX = 0xF8

# Subcommands of SET FEATURES (8.46).
SET_WRITE_CACHE = 0x02
SET_TRANSFER_MODE = 0x03
CLEAR_WRITE_CACHE = 0x82
KEPT_FEATURES = (0x05, 0x42, 0x55, 0x66, 0x67, 0x85, 0xAA, 0xC2, 0xCC)
"""Power and noise levels, look-ahead, what is kept over a reset: taken, and of no consequence."""
