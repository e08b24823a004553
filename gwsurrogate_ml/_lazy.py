"""Public names imported on first use: importing a package costs next to nothing, though torch and bilby are slow to load."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy(package: str, public: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """``__getattr__`` and ``__dir__`` of a `package` whose `public` names stand in the modules given."""
    found = vars(sys.modules[package])

    def get(name: str) -> Any:
        if name not in public:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        found[name] = getattr(import_module(public[name]), name)
        return found[name]

    return get, lambda: sorted({*found, *public})
