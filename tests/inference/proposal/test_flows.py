"""Flows as proposals: the inverse that draws is zuko's own, and densities are those of the draws."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import zuko

from gwsurrogate_ml.inference.proposal.flows import FlowProposal, _Latent


@pytest.mark.parametrize("context", [0, 5])
def test_inverting_one_number_at_a_time_gives_what_zuko_gives(context: int) -> None:
    torch.manual_seed(0)
    flow = zuko.flows.NSF(9, context, transforms=3, hidden_features=(32, 32), bins=8)
    distribution = flow(torch.randn(5)) if context else flow()
    base = 1.7 * torch.randn(300, 9)
    with torch.no_grad():
        z = torch.from_numpy(_Latent(distribution).inverse(base)).float()
        assert torch.allclose(z, distribution.transform.inv(base), rtol=1e-5, atol=1e-5)
        assert torch.allclose(distribution.transform(z), base, atol=1e-4)


def test_widths_of_a_flow_share_its_map_and_each_has_its_own_density() -> None:
    torch.manual_seed(1)
    flow = zuko.flows.NSF(2, transforms=2, hidden_features=(16, 16), bins=6)
    mean, root = np.array([0.3, -1.0]), np.array([[0.5, 0.0], [0.2, 0.4]])
    narrow = FlowProposal(flow(), mean, root, flow=flow)
    wide = narrow.widened(1.35)
    # On a grid each density integrates to one, and has the moments of its draws.
    axes = [np.linspace(m - 5, m + 5, 401) for m in mean]
    z = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
    cell = np.prod([axis[1] - axis[0] for axis in axes])
    for proposal in (narrow, wide):
        chance = cell * np.exp(proposal.log_density(z))
        draws = proposal.draw(20_000, 3)
        assert abs(chance.sum() - 1) < 2e-3
        np.testing.assert_allclose(chance @ z, draws.mean(axis=0), atol=0.02)
        np.testing.assert_allclose(np.sqrt(chance @ (z - chance @ z) ** 2), draws.std(axis=0), rtol=0.03)
    latent = narrow._latent
    assert wide._latent is latent
    narrow.log_density(z)
    kept = latent._kept.result
    wide.log_density(z)
    assert latent._kept.result is kept
