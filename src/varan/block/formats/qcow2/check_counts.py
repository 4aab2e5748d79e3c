"""How often each cluster is referenced, for any number of clusters: counts in pages that exist where counts are."""

from __future__ import annotations

from varan.block.base import BlockError, ErrorKind
from varan.light import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Clusters = NDArray[np.int64]
    Counts = NDArray[np.uint32]

PAGE_BITS = 16
PAGE = 1 << PAGE_BITS
MAX_PAGES = 1 << 13
"""2 GiB of counts when all are full, half a billion clusters."""

MOST = (1 << 32) - 1
"""Counts end here; no table can hold that many references."""


class ReferenceCounts:
    """References by cluster number."""

    def __init__(self) -> None:
        self._pages: dict[int, Counts] = {}

    def _page(self, number: int) -> Counts:
        import numpy as np

        page = self._pages.get(number)
        if page is None:
            if len(self._pages) >= MAX_PAGES:
                raise BlockError(ErrorKind.NO_SPACE, "the image uses too many clusters to be checked in memory")
            page = self._pages[number] = np.zeros(PAGE, np.uint32)
        return page

    def add_range(self, first: int, count: int, weight: int = 1) -> None:
        """`weight` more references to each of `count` clusters."""
        while count:
            number, at = divmod(first, PAGE)
            here = min(count, PAGE - at)
            _add(self._page(number)[at : at + here], weight)
            first, count = first + here, count - here

    def add(self, clusters: Clusters, weight: int = 1) -> None:
        """`weight` more references to each of `clusters`, in any order, repeated or not."""
        import numpy as np

        if not clusters.size:
            return
        low, high = int(clusters.min()), int(clusters.max())
        if high - low < 8 * clusters.size + 1024:
            self._add_dense(low, np.bincount(clusters - low) * weight)
            return
        found, counts = np.unique(clusters, return_counts=True)
        counts *= weight
        numbers = found >> PAGE_BITS
        starts = np.flatnonzero(np.diff(numbers, prepend=-1))
        for start, end in zip(starts.tolist(), [*starts[1:].tolist(), len(found)], strict=True):
            page = self._page(int(numbers[start]))
            at = found[start:end] & (PAGE - 1)
            page[at] = np.minimum(page[at] + counts[start:end], MOST)

    def _add_dense(self, first: int, counts: NDArray[np.int64]) -> None:
        done = 0
        while done < len(counts):
            number, at = divmod(first + done, PAGE)
            here = min(len(counts) - done, PAGE - at)
            piece = counts[done : done + here]
            if piece.any():
                _add(self._page(number)[at : at + here], piece)
            done += here

    def drop(self, first: int, count: int) -> None:
        """One reference less to each of `count` clusters, where there is one."""
        for cluster in range(first, first + count):
            page = self._pages.get(cluster >> PAGE_BITS)
            if page is not None and page[cluster & (PAGE - 1)]:
                page[cluster & (PAGE - 1)] -= 1

    def window(self, first: int, count: int) -> Counts:
        """The counts of `count` clusters."""
        import numpy as np

        number, at = divmod(first, PAGE)
        if at + count <= PAGE:
            page = self._pages.get(number)
            return np.zeros(count, np.uint32) if page is None else page[at : at + count]
        parts = []
        while count:
            number, at = divmod(first, PAGE)
            here = min(count, PAGE - at)
            parts.append(self.window(first, here))
            first, count = first + here, count - here
        return np.concatenate(parts)

    def of(self, clusters: Clusters) -> Counts:
        """The count of each of `clusters`."""
        import numpy as np

        if not clusters.size:
            return np.zeros(0, np.uint32)
        numbers = clusters >> PAGE_BITS
        low, high = int(numbers.min()), int(numbers.max())
        if low == high:
            only = self._pages.get(low)
            return np.zeros(clusters.size, np.uint32) if only is None else only[clusters & (PAGE - 1)]
        result = np.zeros(clusters.size, np.uint32)
        for number in np.unique(numbers).tolist():
            page = self._pages.get(number)
            if page is not None:
                here = numbers == number
                result[here] = page[clusters[here] & (PAGE - 1)]
        return result

    def regions(self, size: int) -> set[int]:
        """Which regions of `size` clusters (a power of two) have references."""
        import numpy as np

        found: set[int] = set()
        for number, page in self._pages.items():
            if size >= PAGE:
                if page.any():
                    found.add((number << PAGE_BITS) // size)
                continue
            used = np.flatnonzero(np.any(page.reshape(-1, size), axis=1))
            found.update((used + (number << PAGE_BITS) // size).tolist())
        return found

    @property
    def most(self) -> int:
        """The largest count."""
        return max((int(page.max()) for page in self._pages.values()), default=0)

    @property
    def end(self) -> int:
        """One past the last cluster that is referenced."""
        import numpy as np

        for number in sorted(self._pages, reverse=True):
            used = np.flatnonzero(self._pages[number])
            if used.size:
                return (number << PAGE_BITS) + int(used[-1]) + 1
        return 0


def _add(page: Counts, more: int | NDArray[np.int64]) -> None:
    import numpy as np

    page[:] = np.minimum(page.astype(np.int64) + more, MOST)
