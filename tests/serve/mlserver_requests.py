"""Writes mlserver_requests.json beside it, what MLServer's codecs send: run with mlserver==1.7.1 and pandas<3 installed.

MLServer holds FastAPI back, so that it fits no environment of this package: its requests are kept, and answered by the tests.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
from mlserver.codecs import NumpyCodec, NumpyRequestCodec, PandasCodec, StringCodec
from mlserver.types import InferenceRequest, Parameters, RequestOutput

MODES, TIMES = np.array([[1.5, 0.3, -0.1], [4.0, 0.0, 0.5]]), np.linspace(-100.0, 50.0, 4)
COLUMNS = ["mass_1", "mass_2", "chi_1", "chi_2", "luminosity_distance", "theta_jn", "phase"]
ROWS = np.array([[36, 29, 0.3, -0.1, 410, 0.4, 1.2], [50, 45, 0.0, 0.6, 800, 2.0, 0.2]])


def of_arrays(outputs: list[RequestOutput] | None = None, **arrays: np.ndarray) -> InferenceRequest:
    return InferenceRequest(
        id="7", inputs=[NumpyCodec.encode_input(name, array) for name, array in arrays.items()], outputs=outputs
    )


def of_table(columns: dict[str, list], **parameters: object) -> InferenceRequest:
    made = PandasCodec.encode_request(pd.DataFrame(columns), use_bytes=False)
    made.parameters = Parameters(content_type="pd", **parameters)
    return made


def lone(array: np.ndarray, **parameters: object) -> InferenceRequest:
    made = NumpyRequestCodec.encode_request(array)
    made.parameters = Parameters(content_type="np", **parameters)
    return made


def requests() -> dict[str, InferenceRequest]:
    settings = {"sampling_frequency": 2048, "f_min": 25.0}
    wanted = [RequestOutput(name="modes", parameters=Parameters(content_type="np")), RequestOutput(name="in_range")]
    table = of_table({"q": [1.5, 4.0], "chi1": [0.3, 0.0], "chi2": [-0.1, 0.5]})
    table.inputs.append(NumpyCodec.encode_input("times", TIMES))
    words = StringCodec.encode_input("parameters", ["1.5", "0.3"], use_bytes=False)
    return {
        "arrays": of_arrays(wanted, parameters=MODES, times=TIMES),
        "arrays of other types": of_arrays(parameters=MODES.astype(np.float32), times=np.array([-100, 0])),
        "arrays, one NaN": of_arrays(parameters=MODES, times=np.array([0.0, np.nan])),
        "an array alone": lone(ROWS, **settings),
        "an array alone of two": lone(MODES),
        "a table": of_table(dict(zip(COLUMNS, ROWS.T.tolist(), strict=True)), **settings),
        "a table and an array": table,
        "a table with words": of_table({"q": [1.5], "chi1": ["a"], "chi2": [0.1]}),
        "a table that lacks a column": of_table({"q": [1.5], "chi2": [0.1]}),
        "words": InferenceRequest(inputs=[words, NumpyCodec.encode_input("times", TIMES)]),
    }


if __name__ == "__main__":
    lines = [f" {json.dumps(name)}: {made.model_dump_json()}" for name, made in requests().items()]
    Path(__file__).with_suffix(".json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
