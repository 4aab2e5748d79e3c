"""All tiny guest programs, by name. A test assembles each again where `as` is installed."""

from __future__ import annotations

from tests.support import programs_faults, programs_interrupts, programs_memory, programs_smp, programs_strings
from tests.support.guest_code import CODE, Program

__all__ = ["CODE", "PROGRAMS", "Program"]

PROGRAMS: dict[str, Program] = {
    **programs_memory.PROGRAMS,
    **programs_interrupts.PROGRAMS,
    **programs_faults.PROGRAMS,
    **programs_smp.PROGRAMS,
    **programs_strings.PROGRAMS,
}
