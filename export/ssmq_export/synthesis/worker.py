"""Runs one program of a wheel: ``python -m ssmq_export.synthesis.worker PACKAGE FUNCTION WORDS...``."""

from __future__ import annotations

import importlib
import sys

from ..child import end_with_parent


def main() -> int:
    end_with_parent()
    package, function, *words = sys.argv[1:]
    found = getattr(importlib.import_module(package), function)
    if function != "main":  # YoWASP's, which take words and return a code
        return found(words)
    sys.argv = [package, *words]
    return found() or 0


if __name__ == "__main__":
    sys.exit(main())
