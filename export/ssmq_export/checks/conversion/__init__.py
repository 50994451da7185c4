"""The operators that finn-plus 1.6.1 converts, each with FINN's own conditions.

    TABLE[op] -> Conversion    what the operator becomes and when; filled by the modules of this package

A condition sees one node after tidy-up (``Site``) and yields what stands in the way. Read from FINN's
``transformation/fpgadataflow/convert_to_hw`` and the operators' own checks, and compared with FINN itself in
tests/acceptance/test_finn_verdict.py.
"""

from __future__ import annotations

from . import arithmetic, images, reshaping, streams, thresholds  # noqa: F401  (their conditions register)
from .site import Site
from .table import TABLE, Conversion

__all__ = ["TABLE", "Conversion", "Site"]
