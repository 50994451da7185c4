"""A serial line that damages what goes through it."""

from __future__ import annotations

import numpy as np


class Noise:
    """A line on which a share of what is written, and of what is read, is damaged; ``damaged`` counts the frames."""

    def __init__(self, line, seed: int, written: float, read: float = 0.0):
        self.line, self.rng, self.shares = line, np.random.default_rng(seed), (written, read)
        self.name, self.timeout, self.damaged = line.name, line.timeout, 0

    @property
    def in_waiting(self) -> int:
        return self.line.in_waiting

    def read(self, size: int) -> bytes:
        # Nothing, to whoever reads, is silence for as long as the line waits: bytes that were lost are none.
        while data := self.line.read(size):
            if found := self._passed(data, 1):
                return found
        return b""

    def write(self, data: bytes) -> int:
        return self.line.write(self._passed(data, 0))

    def _passed(self, data: bytes, way: int) -> bytes:
        if not data or self.rng.random() >= self.shares[way]:
            return data
        self.damaged += way == 0
        for _ in range(1 + int(self.rng.random() < 0.2)):
            data = [self.flipped, self.lost, self.inserted, self.cut, self.surrounded][self.rng.integers(5)](data)
        return data

    def flipped(self, data: bytes) -> bytes:
        found = bytearray(data)
        for place in self.rng.integers(0, 8 * len(data), self.rng.integers(1, 4)) if data else ():
            found[place // 8] ^= 1 << place % 8
        return bytes(found)

    def lost(self, data: bytes) -> bytes:
        gone = set(self.rng.integers(0, max(1, len(data)), self.rng.integers(1, 4)).tolist())
        return bytes(byte for place, byte in enumerate(data) if place not in gone)

    def inserted(self, data: bytes) -> bytes:
        place = int(self.rng.integers(0, len(data) + 1))
        return data[:place] + self.rng.bytes(self.rng.integers(1, 4)) + data[place:]

    def cut(self, data: bytes) -> bytes:
        return data[: self.rng.integers(0, max(1, len(data)))]

    def surrounded(self, data: bytes) -> bytes:
        return self.rng.bytes(self.rng.integers(1, 60)) + data + self.rng.choice([0x7E, 0x7D, 1], 5).astype(np.uint8).tobytes()
