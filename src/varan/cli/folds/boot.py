"""-kernel and what goes with it."""

from __future__ import annotations

from varan.cli.builder import Builder


def fold_kernel(builder: Builder, value: str) -> None:
    """-kernel FILE"""
    builder.boot.kernel = value


def fold_initrd(builder: Builder, value: str) -> None:
    """-initrd FILE"""
    builder.boot.initrd = value


def fold_append(builder: Builder, value: str) -> None:
    """-append TEXT"""
    builder.boot.append = value


def fold_bios(builder: Builder, value: str) -> None:
    """-bios FILE"""
    builder.boot.firmware = value


def fold_demo(builder: Builder, value: str) -> None:
    """-demo"""
    builder.boot.demo = True
