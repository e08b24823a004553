"""Requests and responses of the KServe v2 inference protocol: JSON, with the binary tensor extension.

A body is JSON, or JSON of `Inference-Header-Content-Length` bytes followed by the raw little-endian tensors one after the
other, in the order of their entries. Fields that are null are as good as left out, a model's parameters are
not. Sources: kserve.github.io, open inference protocol; Triton's extension of it; MLServer's `content_type`, by which clients
say how they encoded a tensor.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

DTYPES = {
    "BOOL": np.dtype("?"),
    **{f"{sign}INT{8 * size}": np.dtype(f"<{letter}{size}") for sign, letter in (("", "i"), ("U", "u")) for size in (1, 2, 4, 8)},
    **{f"FP{8 * size}": np.dtype(f"<f{size}") for size in (2, 4, 8)},
}  # fmt: skip
"""numpy's types of the protocol's; BYTES, of variable length, stands apart."""
ELEMENTS: dict[str, set[type]] = {"b": {bool}, "i": {int}, "u": {int}, "f": {int, float, type(None)}}
"""What the elements of JSON data are, by numpy's kinds: nothing is rounded or taken for another type; null is NaN."""
MOST_AXES = 8
HEADER_LENGTH = "Inference-Header-Content-Length"
Parameter = str | bool | int | float
CODEC = "content_type"
"""MLServer's parameter of requests and tensors: "np", "pd", "str" and others."""
IGNORED = ("headers",)
"""Parameters that servers before ours may add for themselves."""


class RequestError(Exception):
    """A request that cannot be served: HTTP status, and one sentence that names culprit and remedy."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Request:
    """One inference request, decoded.

    Attributes
    ----------
    inputs : mapping from name to array
    parameters : mapping, as sent
    outputs : mapping from the name of a wanted output to whether it is wanted in binary; empty: all
    id : str, comes back with the response
    binary : bool, default for outputs
    codecs : bool
        whether MLServer's codecs wrote the request, and are to read the answer
    """

    inputs: Mapping[str, np.ndarray]
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    outputs: Mapping[str, bool] = field(default_factory=dict)
    id: str = ""
    binary: bool = False
    codecs: bool = False


def whole(text: str) -> int | None:
    """The value of a header that holds a number; None where it holds none.

    Examples
    --------
    >>> whole(" 12 "), whole("-3"), whole("²")
    (12, None, None)
    """
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


def inflate(body: bytes, encoding: str, limit: int) -> bytes:
    """`body` without its Content-Encoding, at most `limit` bytes long.

    Raises
    ------
    RequestError
        413 if it is longer, 415 for an encoding other than gzip and deflate, 400 for damaged data

    Examples
    --------
    >>> inflate(zlib.compress(b"1" * 10), "deflate", 100)
    b'1111111111'
    """
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "deflate"):
        raise RequestError(415, f"Content-Encoding {encoding!r} is not known: send gzip, deflate or none")
    stream = zlib.decompressobj(wbits=47 if encoding == "gzip" else 15)
    try:
        out = stream.decompress(body, limit + 1)
    except zlib.error as error:
        raise RequestError(400, f"the body is not {encoding} ({error}): send it again") from error
    if len(out) > limit:
        raise RequestError(413, f"the body unpacks to more than {limit} bytes: send less at a time")
    if not stream.eof:
        raise RequestError(400, f"the {encoding} body is cut off: send it again")
    if stream.unused_data:
        raise RequestError(400, f"{len(stream.unused_data)} bytes follow the {encoding} data: compress the body as one")
    return out


def decode(body: bytes, header_length: str | None = None) -> Request:
    """The request in `body`; `header_length` is the value of the header of that name, None where the body is all JSON.

    Raises
    ------
    RequestError
        400 with what is wrong

    Examples
    --------
    >>> body = b'{"inputs": [{"name": "x", "shape": [2], "datatype": "FP64", "data": [1, 2.5]}]}'
    >>> decode(body).inputs["x"]
    array([1. , 2.5])
    """
    length = len(body) if header_length is None else whole(header_length)
    if length is None or length > len(body):
        raise RequestError(400, f"{HEADER_LENGTH} is {header_length!r} for a body of {len(body)} bytes")
    try:
        head = json.loads(body[:length])
    except (ValueError, RecursionError) as error:
        raise RequestError(400, f"the request is not JSON ({str(error)[:100]})") from error
    if not isinstance(head, dict) or not isinstance(head.get("inputs"), list):
        raise RequestError(400, 'the request lacks "inputs": a list of tensors')
    parameters = _parameters(head, "parameters")
    for name, value in parameters.items():
        if not isinstance(value, Parameter):
            raise RequestError(400, f"parameter {name!r} is {_said(value)}: give a number or a word")
    codecs = CODEC in parameters
    raw, inputs = memoryview(body)[length:], {}
    for entry in head["inputs"]:
        tensor = _mapping(entry, "a tensor of inputs")
        name, shape, datatype = _header(tensor)
        if name in inputs:
            raise RequestError(400, f"input {name!r} comes twice")
        given = _parameters(tensor, f"parameters of {name!r}")
        _refuse_shared_memory(given, f"input {name!r}")
        codecs = codecs or CODEC in given
        size = given.get("binary_data_size")
        if size is None:
            inputs[name] = _from_json(name, shape, datatype, tensor.get("data"))
        else:
            if type(size) is not int or not 0 <= size <= len(raw):
                raise RequestError(400, f"input {name!r}: binary_data_size is {_said(size)}, {len(raw)} bytes are left")
            inputs[name], raw = _from_bytes(name, shape, datatype, raw[:size]), raw[size:]
    if len(raw):
        raise RequestError(400, f"{len(raw)} bytes follow the last tensor: check binary_data_size")
    binary = parameters.get("binary_data_output") is True
    outputs = {}
    for entry in _sequence(head.get("outputs") or [], "outputs"):
        wanted = _mapping(entry, "an entry of outputs")
        name = _text(wanted.get("name"), "the name of an output")
        given = _parameters(wanted, "parameters of an output")
        _refuse_shared_memory(given, f"output {name!r}")
        if given.get("classification"):
            raise RequestError(400, f"output {name!r}: there are no classes here, leave classification out")
        codecs = codecs or CODEC in given
        outputs[name] = given.get("binary_data", binary) is True
    return Request(inputs, parameters, outputs, _text(head.get("id") or "", "id"), binary, codecs)


def encode(model: str, version: str, request: Request, outputs: Mapping[str, np.ndarray]) -> tuple[list[bytes], dict[str, str]]:
    """Parts of the response body and its headers.

    Examples
    --------
    >>> encode("m", "1", Request({}), {"y": np.array([1.5])})[0]
    [b'{"model_name":"m","model_version":"1","outputs":[{"name":"y","datatype":"FP64","shape":[1],"data":[1.5]}]}']
    """
    entries, blobs = [], []
    for name, array in outputs.items():
        entry: dict[str, Any] = {"name": name, "datatype": datatype_of(array), "shape": list(array.shape)}
        if request.outputs.get(name, request.binary):
            blob = _to_bytes(array)
            entry["parameters"] = {"binary_data_size": len(blob)}
            blobs.append(blob)
        else:
            entry["data"] = _to_json(array)
            if request.codecs:
                entry["parameters"] = {CODEC: "str" if entry["datatype"] == "BYTES" else "np"}
        entries.append(entry)
    head: dict[str, Any] = {"model_name": model, "model_version": version, "outputs": entries}
    if request.id:
        head["id"] = request.id
    text = json.dumps(head, separators=(",", ":"), allow_nan=False).encode()
    if not blobs:
        return [text], {"Content-Type": "application/json"}
    return [text, *blobs], {"Content-Type": "application/octet-stream", HEADER_LENGTH: str(len(text))}


def datatype_of(array: np.ndarray) -> str:
    """The protocol's name of an array's type; arrays of bytes or str objects are BYTES.

    Examples
    --------
    >>> datatype_of(np.zeros(1)), datatype_of(np.array([b"a"], object))
    ('FP64', 'BYTES')
    """
    if array.dtype.kind in "OSU":
        return "BYTES"
    for name, dtype in DTYPES.items():
        if array.dtype == dtype:
            return name
    raise TypeError(f"{array.dtype} has no name in the protocol")


def _said(value: Any) -> str:
    """A value in a message: of lists and objects, which may be deep, the type alone."""
    return repr(value)[:60] if isinstance(value, Parameter) else f"a {type(value).__name__}"


def _mapping(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise RequestError(400, f"{what} is not a JSON object")
    return value


def _parameters(owner: Mapping[str, Any], what: str) -> dict[str, Any]:
    """The parameters in a request, tensor or output, without what is none of ours: headers, and a codec that is not set."""
    given = owner.get("parameters")
    found = _mapping({} if given is None else given, what)
    return {name: value for name, value in found.items() if name not in IGNORED and (name, value) != (CODEC, None)}


def _refuse_shared_memory(parameters: Mapping[str, Any], what: str) -> None:
    if "shared_memory_region" in parameters:
        raise RequestError(400, f"{what} is in shared memory, which this service does not read: send the data")


def _sequence(value: Any, what: str) -> Sequence[Any]:
    if not isinstance(value, list):
        raise RequestError(400, f"{what} is not a JSON array")
    return value


def _text(value: Any, what: str) -> str:
    if not isinstance(value, (str, int)):
        raise RequestError(400, f"{what} is {_said(value)}: give a word")
    return str(value)


def _header(tensor: Mapping[str, Any]) -> tuple[str, tuple[int, ...], str]:
    name, shape, datatype = tensor.get("name"), tensor.get("shape"), tensor.get("datatype")
    if not isinstance(name, str) or not name:
        raise RequestError(400, "an input has no name: give one to each tensor")
    if not isinstance(datatype, str) or datatype not in (*DTYPES, "BYTES"):
        raise RequestError(400, f"input {name!r}: datatype {_said(datatype)} is none of {', '.join(DTYPES)}, BYTES")
    if not isinstance(shape, list) or not all(type(n) is int and 0 <= n < 2**31 for n in shape):
        raise RequestError(400, f"input {name!r}: its shape is not a list of sizes")
    if len(shape) > MOST_AXES or math.prod(n or 1 for n in shape) > 2**48:  # numpy bounds sizes even of empty arrays
        raise RequestError(400, f"input {name!r}: its shape is too large, at most {MOST_AXES} axes are taken")
    return name, tuple(shape), datatype


def _from_json(name: str, shape: tuple[int, ...], datatype: str, data: Any) -> np.ndarray:
    """An array from flat or nested data: the protocol allows both."""
    try:
        flat = _flat(data)
        kinds = {str} if datatype == "BYTES" else ELEMENTS[DTYPES[datatype].kind]
        if wrong := {type(element) for element in flat} - kinds:
            raise TypeError(f"{wrong.pop().__name__} found")
        if datatype != "BYTES":
            return np.asarray(data, DTYPES[datatype]).reshape(shape)
        words = np.empty(len(flat), object)
        words[:] = [word.encode() for word in flat]
        return words.reshape(shape)
    except (ValueError, TypeError, OverflowError) as error:
        raise RequestError(
            400, f"input {name!r}: its data are not {datatype} of shape {list(shape)} ({str(error)[:100]})"
        ) from error


def _flat(data: Any) -> list[Any]:
    """The elements of lists in lists; what is nested deeper than arrays are stays a list."""
    flat = data if isinstance(data, list) else [data]
    for _ in range(MOST_AXES):
        if not any(isinstance(part, list) for part in flat):
            break
        flat = [element for part in flat for element in (part if isinstance(part, list) else [part])]
    return flat


def _from_bytes(name: str, shape: tuple[int, ...], datatype: str, raw: memoryview) -> np.ndarray:
    count = math.prod(shape)
    if datatype != "BYTES":
        dtype = DTYPES[datatype]
        if len(raw) != count * dtype.itemsize:
            raise RequestError(400, f"input {name!r}: {len(raw)} bytes for {datatype} of shape {list(shape)}")
        return np.frombuffer(raw, dtype).reshape(shape) if count else np.zeros(shape, dtype)
    words: list[bytes] = []
    at = 0
    while at < len(raw):
        size = int.from_bytes(raw[at : at + 4], "little")
        if at + 4 + size > len(raw):
            raise RequestError(400, f"input {name!r}: its BYTES are cut off")
        words.append(bytes(raw[at + 4 : at + 4 + size]))
        at += 4 + size
    if len(words) != count:
        raise RequestError(400, f"input {name!r}: {len(words)} BYTES elements for shape {list(shape)}")
    flat = np.empty(count, object)
    flat[:] = words
    return flat.reshape(shape)


def _to_bytes(array: np.ndarray) -> bytes:
    if array.dtype.kind in "OSU":
        words = [word if isinstance(word, bytes) else str(word).encode() for word in array.ravel()]
        return b"".join(len(word).to_bytes(4, "little") + word for word in words)
    return np.ascontiguousarray(array).tobytes()


def _to_json(array: np.ndarray) -> list[Any]:
    """Flat data; numbers that are not finite become null, as JSON knows none."""
    if array.dtype.kind in "OSU":
        return [word.decode("utf-8", "replace") if isinstance(word, bytes) else str(word) for word in array.ravel()]
    flat = array.ravel()
    if array.dtype.kind == "f" and not (finite := np.isfinite(flat)).all():
        return [value if ok else None for value, ok in zip(flat.tolist(), finite.tolist(), strict=True)]
    return flat.tolist()
