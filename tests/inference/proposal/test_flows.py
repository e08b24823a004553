"""Flows as proposals: the inverse that draws is zuko's own."""

from __future__ import annotations

import pytest
import torch
import zuko

from gwsurrogate_ml.inference.proposal.flows import _Latent


@pytest.mark.parametrize("context", [0, 5])
def test_inverting_one_number_at_a_time_gives_what_zuko_gives(context: int) -> None:
    torch.manual_seed(0)
    flow = zuko.flows.NSF(9, context, transforms=3, hidden_features=(32, 32), bins=8)
    distribution = flow(torch.randn(5)) if context else flow()
    base = 1.7 * torch.randn(300, 9)
    with torch.no_grad():
        z = torch.from_numpy(_Latent(distribution).inverse(base)).float()
        assert torch.equal(z, distribution.transform.inv(base))
        assert torch.allclose(distribution.transform(z), base, atol=1e-4)
