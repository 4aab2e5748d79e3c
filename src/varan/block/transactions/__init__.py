"""Transactions: changes to any number of disks that are one moment to those who use them, or do not happen."""
