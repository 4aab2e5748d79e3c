"""Requests that wait their turn under common limits: the shell of `varan.block.throttle`.

The members of a group (drives, `throttle` nodes) share its limits by start-time fair queueing. A request's cost is the
time for which it uses up the limit that it strains most. Of the members that wait, the one goes next that has had the
least, so that neither many requests under way nor long ones take anything from others. Who was away has not saved up
anything. Reads and writes of a member wait in queues of their own, which take turns.
"""

from __future__ import annotations

import time

from varan.block.lazy import asyncio
from varan.block.throttle import Limits, Throttle, parse_limits
from varan.light import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping
    from typing import Any

    Later = Callable[[float, Callable[[], None]], Any]


class _Waiting:
    """A request that may not go yet."""

    __slots__ = ("go", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self.go: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class ThrottleGroup:
    """See the module's text. Called on one loop."""

    def __init__(
        self,
        name: str,
        limits: Limits,
        *,
        clock: Callable[[], float] = time.monotonic,
        later: Later | None = None,
    ) -> None:
        """`later(seconds, callback)` calls back, unless its result's `cancel()` comes first; None: the loop's."""
        self.name = name
        self.members: set[ThrottleMember] = set()
        self.emptied: Callable[[], object] | None = None
        """Called when the last member has left."""
        self._clock = clock
        self._later = later
        self._throttle = Throttle(limits, clock())
        self._waiting: dict[tuple[ThrottleMember, bool], list[_Waiting]] = {}
        """Those whose turn comes first are first; the key's second part: whether they are writes."""
        self._timer: Any = None
        self._served = 0.0
        """How much of the limits the member has had whose request went last, in seconds."""

    @property
    def limits(self) -> Limits:
        """The limits now."""
        return self._throttle.limits

    def change(self, limits: Limits) -> None:
        """Other limits from now on, for requests that wait already, too."""
        self._throttle.change(limits, self._clock())
        self._served = 0.0
        for member in self.members:
            member.had = 0.0
        self._serve()

    def join(self) -> ThrottleMember:
        """Another member."""
        member = ThrottleMember(self)
        self.members.add(member)
        return member

    async def admit(self, member: ThrottleMember, size: int, write: bool) -> None:
        """Return when a request of `size` bytes may go."""
        if not self._throttle.limits.any:
            return
        if member.hurried or (not self._waiting and not self._throttle.wait(self._clock(), write)):
            self._account(member, size, write)
            return
        waiting = _Waiting(size)
        queue = self._waiting.setdefault((member, write), [])
        queue.append(waiting)
        self._serve()
        try:
            await waiting.go
        except asyncio.CancelledError:
            self._forget(member, write, waiting)
            raise

    def let_go(self, member: ThrottleMember) -> None:
        """What waits of this member goes at once; it counts all the same."""
        for write in (False, True):
            for waiting in self._waiting.pop((member, write), ()):
                self._begin(member, waiting, write)
        self._serve()

    def _forget(self, member: ThrottleMember, write: bool, waiting: _Waiting) -> None:
        queue = self._waiting.get((member, write), [])
        if waiting in queue:
            queue.remove(waiting)
            if not queue:
                del self._waiting[member, write]

    def _begin(self, member: ThrottleMember, waiting: _Waiting, write: bool) -> None:
        if not waiting.go.done():
            self._account(member, waiting.size, write)
            waiting.go.set_result(None)

    def _account(self, member: ThrottleMember, size: int, write: bool) -> None:
        self._served = max(self._served, member.had)
        member.had = self._served + self._throttle.use(size, write)

    def _serve(self) -> None:
        """Let go what may, and come back when the next one may."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        soonest = 0.0
        while self._waiting and soonest == 0.0:
            soonest = self._serve_one()
        if self._waiting:
            later: Later = self._later or asyncio.get_running_loop().call_later
            self._timer = later(soonest, self._due)

    def _serve_one(self) -> float:
        """Let the first request go that may; seconds until there is one when there is none."""
        now = self._clock()
        waits = {write: self._throttle.wait(now, write) for write in {key[1] for key in self._waiting}}
        ready = [key for key in self._waiting if not waits[key[1]]]
        if not ready:
            return min(waits.values())
        # Of equal ones the first: a queue that was served goes to the end.
        key = min(ready, key=lambda key: max(self._served, key[0].had))
        queue = self._waiting.pop(key)
        self._begin(key[0], queue.pop(0), key[1])
        if queue:
            self._waiting[key] = queue
        return 0.0

    def _due(self) -> None:
        self._timer = None
        self._serve()


class ThrottleMember:
    """Somebody who goes at a group's rate."""

    __slots__ = ("_hurries", "group", "had")

    def __init__(self, group: ThrottleGroup) -> None:
        self.group = group
        self.had = 0.0
        """What its requests have used of the group's limits, in seconds."""
        self._hurries = 0

    @property
    def hurried(self) -> bool:
        """Whether its requests do not wait at present."""
        return self._hurries > 0

    async def admit(self, size: int, write: bool) -> None:
        """Return when a request of `size` bytes may go."""
        await self.group.admit(self, size, write)

    def hurry(self) -> None:
        """Let all requests go at once, those that wait, too, until `relax`: somebody waits for them to end."""
        self._hurries += 1
        self.group.let_go(self)

    def relax(self) -> None:
        """Undo one `hurry`."""
        self._hurries -= 1

    def leave(self) -> None:
        """Be no member any more; what waits goes."""
        group = self.group
        group.members.discard(self)
        group.let_go(self)
        if not group.members and group.emptied is not None:
            group.emptied()


def join(groups: MutableMapping[str, ThrottleGroup], name: str) -> ThrottleMember:
    """A member of the group called `name`. When there is none it is made, without limits, for as long as it has any."""
    if name not in groups:
        group = groups[name] = ThrottleGroup(name, parse_limits({}))
        group.emptied = lambda: groups.pop(name, None)
    return groups[name].join()
