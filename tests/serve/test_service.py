"""Work that is given up, and what it holds until it has ended."""

from __future__ import annotations

import asyncio
import functools
import json

import pytest

from gwsurrogate_ml.serve import Limits
from gwsurrogate_ml.serve.protocol import RequestError
from gwsurrogate_ml.serve.service import Service
from tests.serve.material import Sleeper


def test_work_that_was_given_up_counts_until_it_has_ended() -> None:
    async def ask(service: Service, seconds: float, **more: int) -> None:
        x = {"name": "x", "shape": [1], "datatype": "FP64", "data": [1.0]}
        body = json.dumps({"inputs": [x], "parameters": {"seconds": seconds} | more}).encode()
        await service.infer("sleeper", None, functools.partial(asyncio.sleep, 0, body))

    async def run() -> list[int]:
        service, codes = Service([Sleeper()], Limits(queue=2, workers=1)), []
        late = [ask(service, 0.3, timeout=50_000) for _ in range(2)]  # microseconds; one at work, one waiting
        codes += [error.status for error in await asyncio.gather(*late, return_exceptions=True)]
        with pytest.raises(RequestError, match="at work or waiting") as caught:
            await ask(service, 0.0)
        codes.append(caught.value.status)
        await asyncio.sleep(0.5)
        for _ in range(2):
            await ask(service, 0.0)
        service.close()
        return codes

    assert asyncio.run(run()) == [504, 504, 503]
