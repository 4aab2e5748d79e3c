"""INIT and SIPI: how one CPU resets and starts another (Intel SDM volume 3, "Multiple-Processor Initialization")."""

from __future__ import annotations

from varan.accel.base import Vcpu
from varan.accel.state import Activity, CpuState

_CR0_KEPT = 0x6000_0000
"""CD and NW."""
_SIGNATURE = 0x600
"""What is left in EDX: a family, as after reset."""


class Startup:
    """What has been signalled to a vCPU and waits for its thread. Callers of everything hold the machine lock."""

    def __init__(self) -> None:
        self.pending = False
        self._init = False
        self._page: int | None = None

    def init(self) -> None:
        """INIT: forgets a SIPI that came before."""
        self._init, self._page, self.pending = True, None, True

    def startup(self, page: int) -> None:
        """SIPI with its vector."""
        self._page, self.pending = page, True

    def forget(self) -> None:
        """The machine has been reset."""
        self._init, self._page, self.pending = False, None, False

    def obey(self, vcpu: Vcpu) -> None:
        """Do to the vCPU, on its thread, what was signalled. A SIPI for a CPU that does not wait for it is dropped."""
        init, page = self._init, self._page
        self.forget()
        state = vcpu.get_state()
        if init:
            state = after_init(state, first=vcpu.index == 0)
        if page is not None and state.activity is Activity.WAIT_FOR_SIPI:
            state.cs.selector, state.cs.base, state.rip = page << 8, page << 12, 0
            state.activity = Activity.RUNNING
        elif not init:
            return
        # The local APIC's registers are its own business; it has had its INIT.
        state.lapic = b""
        vcpu.set_state(state)


def after_init(state: CpuState, *, first: bool) -> CpuState:
    """The state after INIT (SDM volume 3, table "IA-32 and Intel 64 Processor States Following Power-up, Reset, or
    INIT"): memory of the FPU, MSRs and cache control stays. The first CPU goes to the reset vector."""
    fresh = CpuState(
        cr0=0x10 | state.cr0 & _CR0_KEPT,
        apic_base=state.apic_base,
        xcr0=state.xcr0,
        xsave=state.xsave,
        msrs=state.msrs,
        activity=Activity.RUNNING if first else Activity.WAIT_FOR_SIPI,
    )
    fresh.gprs[2] = _SIGNATURE
    return fresh
