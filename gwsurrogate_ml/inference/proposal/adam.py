"""Adam (Kingma & Ba 2014, arXiv:1412.6980) for the small fits of one event.

torch's own, the first time that it is made, imports torch's compiler: two seconds of every analysis, for nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8


class Adam:
    """As `torch.optim.Adam`, to the last digit; the learning rate is given at each step.

    Parameters
    ----------
    parameters : sequence of Tensor
        changed in place; all have gradients when `step` is called
    """

    def __init__(self, parameters: Sequence[torch.Tensor]) -> None:
        self.parameters = parameters
        self._moments = [(torch.zeros_like(p, requires_grad=False), torch.zeros_like(p, requires_grad=False)) for p in parameters]
        self._count = 0

    @torch.no_grad()
    def step(self, learning_rate: float) -> None:
        """One step against the gradients."""
        self._count += 1
        first_share, second_share = 1 - BETA_1**self._count, 1 - BETA_2**self._count
        for parameter, (first, second) in zip(self.parameters, self._moments, strict=True):
            gradient = parameter.grad
            assert gradient is not None
            first.lerp_(gradient, 1 - BETA_1)
            second.mul_(BETA_2).addcmul_(gradient, gradient, value=1 - BETA_2)
            scale = (second.sqrt() / second_share**0.5).add_(EPSILON)
            parameter.addcdiv_(first, scale, value=-learning_rate / first_share)
