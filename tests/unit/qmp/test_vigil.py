"""Staying awake between messages: only where that has been seen to help."""

from __future__ import annotations

import asyncio

from varan.qmp.vigil import QUICK, TERM, TRIAL, WINDOW, Vigil


class Peer:
    """Answers after a time that depends on whether it is awaited awake."""

    def __init__(self, asleep: float, awake: float) -> None:
        self.now = 1.0
        self.asleep = asleep
        self.awake = awake
        self.vigil = Vigil(lambda: self.now)

    def exchange(self, count: int) -> None:
        for _ in range(count):
            self.vigil.begin()
            self.now += self.awake if self.vigil.awake else self.asleep
            self.vigil.end()


async def test_vigil_is_kept_where_it_is_quicker() -> None:
    peer = Peer(asleep=80e-6, awake=20e-6)
    peer.exchange(2 * TRIAL)
    assert peer.vigil.awake
    peer.exchange(TERM - 1)
    assert peer.vigil.awake


async def test_vigil_is_not_kept_where_it_is_no_quicker() -> None:
    peer = Peer(asleep=20e-6, awake=60e-6)
    peer.exchange(2 * TRIAL)
    assert not peer.vigil.awake
    peer.exchange(TERM)
    assert not peer.vigil.awake


async def test_vigil_is_tried_again_after_a_term() -> None:
    peer = Peer(asleep=20e-6, awake=60e-6)
    peer.exchange(2 * TRIAL + TERM)
    peer.asleep, peer.awake = 80e-6, 20e-6
    peer.exchange(2 * TRIAL)
    assert peer.vigil.awake


async def test_vigil_is_never_tried_for_a_peer_that_asks_now_and_then() -> None:
    peer = Peer(asleep=1.0, awake=1.0)
    for _ in range(10 * TRIAL):
        peer.exchange(1)
        assert not peer.vigil.awake


async def test_vigil_ends_with_the_first_slow_answer() -> None:
    peer = Peer(asleep=80e-6, awake=20e-6)
    peer.exchange(2 * TRIAL)
    peer.awake = 2 * QUICK
    peer.exchange(1)
    assert not peer.vigil.awake


async def test_vigil_lets_the_loop_sleep_when_nobody_answers() -> None:
    peer = Peer(asleep=80e-6, awake=20e-6)
    peer.exchange(2 * TRIAL)
    peer.vigil.begin()
    await asyncio.sleep(0)
    assert peer.vigil.awake
    peer.now += 2 * WINDOW
    await asyncio.sleep(0)
    assert not peer.vigil.awake


def test_answer_without_a_question_is_overlooked() -> None:
    Vigil().end()
