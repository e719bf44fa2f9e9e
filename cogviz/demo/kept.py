"""What is made once for all who ask at the same time, and forgotten again."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")


class Kept(Generic[T]):
    """The last things that were made, by name.

    Args:
        most: how many are kept at most (None: all). seconds: how long one is kept (None: always).
        look: seconds between two looks for things that are too old, so that they go although nobody asks.
    """

    def __init__(self, *, most: int | None = None, seconds: float | None = None, look: float = 30.0) -> None:
        self.most, self.seconds, self.look = most, seconds, look
        self._made: OrderedDict[str, tuple[float, Future[T]]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._made)

    def __contains__(self, name: str) -> bool:
        return name in self._made

    def get(self, name: str, make: Callable[[], T]) -> T:
        """Return what has this name, made now if it is not there; who comes while it is being made waits for it. What fails is not kept."""
        with self._lock:
            self._forget()
            first = name not in self._made
            if first:
                if self.seconds is not None and not self._made:
                    self._look_later()
                self._made[name] = time.monotonic(), Future()
            found = self._made[name][1]
            self._made.move_to_end(name)
            while self.most is not None and len(self._made) > self.most:
                self._made.popitem(last=False)
        if first:
            try:
                found.set_result(make())
            except BaseException as error:
                with self._lock:
                    if self._made.get(name, (0.0, None))[1] is found:
                        del self._made[name]
                found.set_exception(error)
        return found.result()

    def _forget(self) -> None:
        now = time.monotonic()
        for name in [n for n, (then, _) in self._made.items() if self.seconds is not None and now - then > self.seconds]:
            del self._made[name]

    def _look_later(self) -> None:
        timer = threading.Timer(self.look, self._look)
        timer.daemon = True
        timer.start()

    def _look(self) -> None:
        with self._lock:
            self._forget()
            if self._made:
                self._look_later()
