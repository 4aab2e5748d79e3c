"""Encryption at rest: sector ciphers, LUKS headers, and the secrets that open them."""
