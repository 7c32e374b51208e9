"""Names for what the annotations mention often."""

from typing import Any

PyTree = Any
"""Any nesting of containers with arrays for leaves."""
