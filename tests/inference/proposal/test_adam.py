"""Our Adam, and the learning rates of a fit, beside torch's."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from gwsurrogate_ml.inference.proposal.adam import Adam


@pytest.mark.slow
@pytest.mark.peer
def test_steps_are_torchs_to_the_last_digit() -> None:
    ours, theirs = ([torch.nn.Parameter(torch.linspace(-2, 3, 12).reshape(3, 4)), torch.nn.Parameter(torch.ones(5))] for _ in "ab")
    rate, steps = 8e-3, 60
    optimiser = torch.optim.Adam(theirs, lr=rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    own = Adam(ours)
    for step in range(steps):
        for some in (ours, theirs):
            for parameter in some:
                parameter.grad = None
            (torch.sin(some[0] @ torch.arange(4.0)).sum() * some[1].square().sum()).backward()
        own.step(rate)
        rate *= (1 + np.cos(np.pi * (step + 1) / steps)) / (1 + np.cos(np.pi * step / steps))
        optimiser.step()
        schedule.step()
        assert rate == schedule.get_last_lr()[0]
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.slow
@pytest.mark.process
def test_a_fit_does_not_import_torchs_compiler() -> None:
    code = (
        "import sys, numpy as np; from gwsurrogate_ml.inference.proposal.flows import fit_flow; "
        "fit_flow(np.random.default_rng(0).normal(size=(200, 2)), np.zeros(200), 1, steps=2); "
        "print('torch._dynamo' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]
