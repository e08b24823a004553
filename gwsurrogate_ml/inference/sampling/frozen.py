"""The state of an analysis as plain data, and back: numbers, arrays, flows and objects of known packages, and no code.

What is read back names classes and methods of a few packages alone; objects are filled, not called, and a file with another key is
refused before. Files are torch's with ``weights_only``, which holds nothing but tensors and plain containers.
"""

from __future__ import annotations

import importlib
from collections import OrderedDict
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import MethodType
from typing import Any

import numpy as np

from gwsurrogate_ml.errors import ArtifactError

PACKAGES = ("gwsurrogate_ml.", "zuko.", "torch.nn.", "torch.distributions.")
"""Where the classes come from whose objects can be frozen."""
_PLAIN = (type(None), bool, int, float, complex, str)


class CannotFreezeError(Exception):
    """An object that is neither data nor of a known class."""


class _Freezer:
    def __init__(self, known: Mapping[str, Any]) -> None:
        self.known = {id(value): name for name, value in known.items()}
        self.nodes: list[Any] = []
        self.seen: dict[int, int] = {}
        self.alive: list[Any] = []  # so that no id is used twice

    def node(self, value: Any) -> Any:
        """What stands for `value`: itself where it is plain, else a reference."""
        if type(value) in _PLAIN:
            return value
        if id(value) in self.known:
            return {"known": self.known[id(value)]}
        if id(value) not in self.seen:
            self.seen[id(value)] = number = len(self.nodes)
            self.alive.append(value)
            self.nodes.append(None)  # its place, should it refer to itself
            self.nodes[number] = self._content(value)
        return {"node": self.seen[id(value)]}

    def _content(self, value: Any) -> Any:
        import torch

        if isinstance(value, torch.nn.Parameter | torch.Tensor):
            return ("parameter" if isinstance(value, torch.nn.Parameter) else "tensor", value.detach().clone())
        if isinstance(value, np.ndarray | np.generic):
            try:
                tensor = torch.from_numpy(np.array(value, dtype=value.dtype.newbyteorder("=")))
            except TypeError as error:
                raise CannotFreezeError(str(error)) from error
            return ("scalar" if isinstance(value, np.generic) else "array", tensor)
        if isinstance(value, OrderedDict | dict):
            pairs = [(self.node(key), self.node(item)) for key, item in value.items()]
            return ("ordered" if isinstance(value, OrderedDict) else "dict", pairs)
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            raise CannotFreezeError(f"a named tuple: {type(value).__name__}")
        for kind, name in ((list, "list"), (tuple, "tuple"), (set, "set")):
            if isinstance(value, kind):
                return (name, [self.node(item) for item in value])
        if isinstance(value, partial):
            return ("partial", [self.node(part) for part in (value.func, value.args, value.keywords)])
        if isinstance(value, MethodType):
            return ("method", [self.node(value.__self__), value.__name__])
        if isinstance(value, type):
            return ("class", _name(value))
        state = value.__getstate__()
        if not isinstance(state, dict | None):
            raise CannotFreezeError(f"{type(value).__name__} has more than a dictionary of attributes")
        return ("object", [_name(type(value)), self.node(state or {})])


def _name(cls: type) -> str:
    if not cls.__module__.startswith(PACKAGES):
        raise CannotFreezeError(f"{cls.__module__}.{cls.__qualname__} is no class that can be kept")
    return f"{cls.__module__}:{cls.__qualname__}"


class _Thawer:
    def __init__(self, nodes: list[Any], known: Mapping[str, Any]) -> None:
        self.nodes, self.known = nodes, known
        self.made: dict[int, Any] = {}

    def value(self, node: Any) -> Any:
        """The value that `node` stands for."""
        if not isinstance(node, dict):
            return node
        if "known" in node:
            return self.known[node["known"]]
        number = node["node"]
        if number not in self.made:
            self._make(number)
        return self.made[number]

    def _make(self, number: int) -> None:
        import torch

        kind, content = self.nodes[number]
        if kind in ("array", "scalar"):
            array = content.numpy()
            self.made[number] = array[()] if kind == "scalar" else array
        elif kind in ("tensor", "parameter"):
            self.made[number] = content if kind == "tensor" else torch.nn.Parameter(content, requires_grad=False)
        elif kind in ("dict", "ordered"):
            filled: dict[Any, Any] = OrderedDict() if kind == "ordered" else {}
            self.made[number] = filled
            filled.update((self.value(key), self.value(item)) for key, item in content)
        elif kind == "list":
            items: list[Any] = []
            self.made[number] = items
            items.extend(self.value(item) for item in content)
        elif kind in ("tuple", "set"):
            made = (self.value(item) for item in content)
            self.made[number] = tuple(made) if kind == "tuple" else set(made)
        elif kind == "class":
            self.made[number] = _class(content)
        elif kind == "partial":
            function, words, keywords = (self.value(part) for part in content)
            self.made[number] = partial(function, *words, **keywords)
        elif kind == "method":
            owner = self.value(content[0])
            if content[1].startswith("__"):
                raise ValueError(f"the method {content[1]}")
            self.made[number] = MethodType(getattr(type(owner), content[1]), owner)
        elif kind == "object":
            self.made[number] = object.__new__(_class(content[0]))
            vars(self.made[number]).update(self.value(content[1]))
        else:
            raise ValueError(f"a node of the kind {kind!r}")


def _class(name: str) -> type:
    module, _, path = name.partition(":")
    if not module.startswith(PACKAGES) or "." in path:
        raise ValueError(f"the class {name}")
    found = getattr(importlib.import_module(module), path)
    if not isinstance(found, type) or found.__module__ != module:
        raise ValueError(f"the class {name}")
    return found


def save(path: Path, content: Any, key: str = "", known: Mapping[str, Any] | None = None) -> None:
    """Write `content` to `path`.

    Parameters
    ----------
    path : Path
    content : numbers, arrays, tensors, containers, and objects of the classes of `PACKAGES`
    key : str
        of what it belongs to: `load` asks for it
    known : mapping from name to object, optional
        what whoever reads has already: kept by name alone

    Raises
    ------
    CannotFreezeError
        if something in `content` is of another kind, or nested too deep
    OSError
        if the file cannot be written

    Examples
    --------
    >>> import tempfile
    >>> path, shared = Path(tempfile.mkdtemp()) / "a", np.arange(3)
    >>> save(path, {"a": [shared, shared], "b": (1.5, "x")}, "key")
    >>> found = load(path, "key")
    >>> found["a"][0] is found["a"][1], found["b"]
    (True, (1.5, 'x'))
    """
    from gwsurrogate_ml.files import save_torch

    freezer = _Freezer(known or {})
    try:
        root = freezer.node(content)
    except RecursionError as error:
        raise CannotFreezeError("it is nested too deep") from error
    save_torch({"key": key, "root": root, "nodes": freezer.nodes}, path)


def load(path: Path, key: str = "", known: Mapping[str, Any] | None = None) -> Any:
    """What `save` wrote to `path` with this `key`; arrays are copies.

    Raises
    ------
    ArtifactError
        if the file is damaged, foreign, of another version or has another key
    """
    import torch

    try:
        stored = torch.load(path, weights_only=True)
        if stored["key"] != key:
            raise ValueError("it has another key")
        return _Thawer(stored["nodes"], known or {}).value(stored["root"])
    except Exception as error:  # of pickle, zip, torch or a class that is gone, as the damage is
        raise ArtifactError(f"{path} is no state of an analysis ({' '.join(str(error).split())[:200]})") from error
