"""What tests of the service share: tensors as the stock client makes them, a model that sleeps, and the rate of the mock."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from tritonclient.http import InferInput

from gwsurrogate_ml.serve import ServedModel
from gwsurrogate_ml.serve.base import Call, Tensor

RATE = 512.0


def tensor(name: str, array: Any, binary: bool = True, datatype: str = "FP64") -> InferInput:
    array = np.asarray(array, np.float64) if datatype == "FP64" else array
    made = InferInput(name, list(array.shape), datatype)
    made.set_data_from_numpy(array, binary_data=binary)
    return made


class Sleeper(ServedModel):
    """Takes the time it is told to, so that queues and time-outs can be seen."""

    name, version = "sleeper", "1"
    inputs, outputs = (Tensor("x", "FP64", (-1,)),), (Tensor("x", "FP64", (-1,)),)
    defaults = {"seconds": 0.0}  # noqa: RUF012

    def infer(self, call: Call) -> dict[str, np.ndarray]:
        time.sleep(call.parameters["seconds"])
        if call.inputs["x"].size == 13:
            raise ZeroDivisionError("a fault of the model's own, with a /secret/path")
        return {"x": call.inputs["x"]}
