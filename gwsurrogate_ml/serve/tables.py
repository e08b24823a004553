"""Inputs as clients of tables have them: a column for a vector, a table column by column, a lone array without a name.

So MLServer's codecs send them: NumpyCodec gives a vector the shape (n, 1), PandasCodec sends an input a column, and
NumpyRequestCodec one array under the name `UNNAMED`. None of it can be taken for something else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from gwsurrogate_ml.serve.protocol import RequestError, datatype_of

if TYPE_CHECKING:
    from gwsurrogate_ml.serve.base import Tensor

UNNAMED = "input-1"


def vector(array: np.ndarray) -> np.ndarray:
    """(n, 1) as (n,); anything else as it is.

    Examples
    --------
    >>> vector(np.zeros((5, 1))).shape, vector(np.zeros((5, 2))).shape
    ((5,), (5, 2))
    """
    return array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array


def named(model: str, tensors: Sequence[Tensor], inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """`inputs` by the names of a model's `tensors`.

    Raises
    ------
    RequestError
        400 for columns that are missing, of different lengths or no numbers, and for an array without a name where a model
        needs several
    """
    found = dict(inputs)
    needed = [tensor.name for tensor in tensors if not tensor.optional]
    if UNNAMED in found:
        if len(needed) > 1:
            raise RequestError(
                400,
                f"{model} needs the inputs {' and '.join(needed)}, and {UNNAMED!r} does not say which it is: encode each with "
                "its name, such as NumpyCodec.encode_input",
            )
        if needed[0] not in found:
            found[needed[0]] = found.pop(UNNAMED)
    for tensor in tensors:
        if tensor.name not in found and any(column in found for column in tensor.columns):
            found[tensor.name] = _table(tensor, found)
    return found


def _table(tensor: Tensor, found: dict[str, np.ndarray]) -> np.ndarray:
    """The rows (n, columns) of `tensor`, whose columns are taken out of `found`."""
    if missing := [name for name in tensor.columns if name not in found]:
        raise RequestError(
            400, f"the table lacks {', '.join(missing)}: the columns of {tensor.name!r} are {', '.join(tensor.columns)}"
        )
    columns = {name: vector(found.pop(name)) for name in tensor.columns}
    for name, column in columns.items():
        if column.ndim != 1 or column.dtype.kind not in "fiu":
            raise RequestError(
                400, f"column {name!r} is {datatype_of(column)} of shape {list(column.shape)}: give numbers, one a row"
            )
    if len({len(column) for column in columns.values()}) > 1:
        lengths = ", ".join(f"{name} {len(column)}" for name, column in columns.items())
        raise RequestError(400, f"the columns of {tensor.name!r} have different lengths ({lengths}): give one value a row in each")
    return np.column_stack([column.astype(np.float64) for column in columns.values()])
