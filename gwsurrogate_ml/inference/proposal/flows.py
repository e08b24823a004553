"""Proposals for one event: the amortised flow, and a small flow fitted to weighted draws."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import torch

from gwsurrogate_ml.inference.prior.binary import BinaryPrior
from gwsurrogate_ml.inference.proposal.adam import Adam
from gwsurrogate_ml.inference.proposal.density import unconditional_flow
from gwsurrogate_ml.inference.threads import one_torch_thread
from gwsurrogate_ml.inference.weights import effective_size, resample
from gwsurrogate_ml.kernels.threads import each

_SEEDED = threading.Lock()
"""Held while torch's generator, which all threads share, is seeded for a flow's first weights."""
_CHUNK = 4096
QUIET = 10.0
WIDTHS = (1.0, 1.25, 1.7)
"""Widths of the base from which the network's draws come; a pilot decides in which shares."""
_NOISE = 0.3
"""Noise added to draws a flow is fitted to, in units of their spread, times (effective draws)^(-1/8): a third of the
bandwidth that suits a kernel density estimate in four dimensions.
"""
_HELD_OUT, _CHECK = 0.2, 25
"""Share of the draws held out, and steps between looks at them."""


class Proposal(Protocol):
    """Something to draw normal-score parameters from."""

    def draw(self, n: int, seed: int) -> np.ndarray:
        """(n, n_z) float64."""
        ...

    def log_density(self, z: np.ndarray) -> np.ndarray:
        """(n,) float64 at (n, n_z)."""
        ...


class PriorProposal:
    """Draws from the prior itself: unit normal in so many dimensions."""

    def __init__(self, dimension: int) -> None:
        self.dimension = dimension

    def draw(self, n: int, seed: int) -> np.ndarray:
        """(n, dimension) float64."""
        return np.random.default_rng(seed).normal(size=(n, self.dimension))

    def log_density(self, z: np.ndarray) -> np.ndarray:
        """(n,) float64."""
        return BinaryPrior.log_normal(z)


class _Latent:
    """A flow's map from z to its base's unit normal, after an affine one ``x = root^-1 (z - mean)``; each thread's last result is
    kept: proposals of several widths share it."""

    def __init__(self, distribution: Any, mean: np.ndarray | None = None, root: np.ndarray | None = None) -> None:
        self.transform = distribution.transform
        self.dimension = int(distribution.event_shape[0])
        self.mean = np.zeros(self.dimension) if mean is None else mean
        self.root = np.eye(self.dimension) if root is None else root
        self._inverse = None if mean is None and root is None else np.linalg.inv(self.root)
        self._log_det = float(np.log(np.abs(np.diag(self.root))).sum())
        self._kept = threading.local()

    def __call__(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Base coordinates (n, n_z) and log Jacobian (n,) of `z` (n, n_z)."""
        if getattr(self._kept, "z", None) is not z:
            plain = z if self._inverse is None else (z - self.mean) @ self._inverse.T
            x = torch.from_numpy(plain.astype(np.float32))
            base, ladj = (
                torch.cat(column).double().numpy() for column in zip(*_by_parts(self.transform.call_and_ladj, x), strict=True)
            )
            self._kept.z, self._kept.result = z, (base, ladj - self._log_det)
        return self._kept.result

    def inverse(self, base: torch.Tensor) -> np.ndarray:
        """z (n, n_z) float64 of base coordinates (n, n_z)."""
        return torch.cat(_by_parts(self._inverse_of, base)).double().numpy() @ self.root.T + self.mean

    def _inverse_of(self, x: torch.Tensor) -> torch.Tensor:
        for part in reversed(self.transform.transforms):
            x = _undone(part, x)
        return x


def _by_parts(work: Callable[[torch.Tensor], Any], x: torch.Tensor) -> list[Any]:
    """`work` on rows of `x`, so many at a time, in threads, without gradients."""

    def alone(some: torch.Tensor) -> Any:
        with torch.no_grad(), one_torch_thread():  # both a thread's own
            return work(some)

    return each(alone, x.split(_CHUNK))


def _undone(part: Any, y: torch.Tensor) -> torch.Tensor:
    """``part.inv(y)`` (n, n_z): of an autoregressive transform, which zuko inverts with the splines of all numbers for each of
    them, with that of one at a time, the first of which is the same for all, and what the context gives worked out once."""
    from zuko.flows.autoregressive import MaskedAutoregressiveTransform
    from zuko.utils import unpack

    layer = getattr(getattr(getattr(part, "meta", None), "func", None), "__self__", None)
    if not isinstance(layer, MaskedAutoregressiveTransform) or layer.order is None or layer.passes != y.shape[-1]:
        return part.inv(y)
    (context,), n = part.meta.args, y.shape[-1]
    first, *between, last = layer.hyper
    weight, bias = first.mask * first.weight, first.bias
    if context is not None:
        weight, bias = weight[:, :n], bias + weight[:, n:] @ context
    last_weight = last.mask * last.weight
    x = torch.zeros_like(y)
    for place, number in enumerate(torch.argsort(layer.order).tolist()):
        hidden = torch.nn.functional.linear(x if place else x[:1], weight, bias)
        for step in between:
            hidden = step(hidden)
        rows = slice(number * layer.total, (number + 1) * layer.total)
        own = unpack(torch.nn.functional.linear(hidden, last_weight[rows], last.bias[rows]), layer.shapes)
        x[:, number] = layer.univariate(*own).inv(y[:, number])
    return x


class FlowProposal:
    """Draws and densities of a flow with a normal base, through an affine map ``z = mean + x L^T``.

    Parameters
    ----------
    distribution : zuko NormalizingFlow over (n_z,), its base a unit normal
    mean : (n_z,); root : (n_z, n_z) lower triangular
        with a `_Latent`, its own
    widen : float
        factor on the standard deviation of the base: above 1 it lightens the tail of the weights
    flow : Module, optional
        that the distribution is of, where it is this event's own
    """

    def __init__(
        self,
        distribution: torch.distributions.Distribution | _Latent,
        mean: np.ndarray | None = None,
        root: np.ndarray | None = None,
        widen: float = 1.0,
        flow: torch.nn.Module | None = None,
    ) -> None:
        self.flow = flow
        self._latent = distribution if isinstance(distribution, _Latent) else _Latent(distribution, mean, root)
        self.dimension = self._latent.dimension
        self._widen = widen

    def widened(self, factor: float) -> FlowProposal:
        """The same flow from a base wider by `factor`."""
        return FlowProposal(self._latent, widen=self._widen * factor, flow=self.flow)

    def tensors(self) -> dict[str, np.ndarray]:
        """All of a flow that `fit_flow` made."""
        assert self.flow is not None
        state = {f"flow.{name}": x.numpy() for name, x in self.flow.state_dict().items()}
        return state | {"mean": self._latent.mean, "root": self._latent.root, "widen": np.array(self._widen)}

    @classmethod
    def from_tensors(cls, tensors: dict[str, np.ndarray]) -> FlowProposal:
        """The inverse of `tensors`."""
        flow = unconditional_flow(len(tensors["mean"]))
        state = {k.removeprefix("flow."): torch.from_numpy(v) for k, v in tensors.items() if k.startswith("flow.")}
        flow.load_state_dict(state)
        return cls(flow.eval()(), tensors["mean"], tensors["root"], float(tensors["widen"]), flow)

    def draw(self, n: int, seed: int) -> np.ndarray:
        """(n, n_z) float64 draws."""
        base = torch.randn((n, self.dimension), generator=torch.Generator().manual_seed(seed))
        # The flow draws in float32; its density is evaluated at exactly the float64 values returned here.
        return self._latent.inverse(self._widen * base)

    def log_density(self, z: np.ndarray) -> np.ndarray:
        """(n,) float64."""
        base, ladj = self._latent(z)
        n = self.dimension
        log_base = -0.5 * np.sum((base / self._widen) ** 2, axis=1) - n * np.log(self._widen) - n / 2 * np.log(2 * np.pi)
        return log_base + ladj


def network_proposals(distribution: torch.distributions.Distribution, widen: float, snr: float) -> list[Proposal]:
    """The network's posterior at several widths: what the draws of an event are mixed from.

    In quiet events, of network signal-to-noise ratio `snr` below `QUIET`, the prior takes part: their posteriors reach far
    into it. In loud ones its draws would only cost time.
    """
    latent = _Latent(distribution)
    widths: list[Proposal] = [FlowProposal(latent, widen=widen * width) for width in WIDTHS]
    return [*widths, PriorProposal(latent.dimension)] if snr < QUIET else widths


def fit_flow(
    z: np.ndarray,
    log_weights: np.ndarray,
    seed: int,
    *,
    steps: int = 250,
    batch: int = 512,
    learning_rate: float = 8e-3,
    inflate: float = 1.05,
    widen: float = 1.08,
    progress: Callable[[int, int], None] | None = None,
) -> FlowProposal:
    """Fit a small spline flow to weighted draws of one event.

    Draws are whitened by their weighted covariance (widened by `inflate`) and resampled by weight, with normal noise
    that is the larger the fewer count, so that repeated heavy draws do not become spikes; of the flow on the way the one
    that suits draws held out best is kept.

    Parameters
    ----------
    z : (N, n_z) draws; log_weights : (N,)
    seed : int
    widen : float
        see `FlowProposal`
    """
    rng = np.random.default_rng(seed)
    weights = np.exp(log_weights - log_weights.max())
    weights /= weights.sum()
    mean = weights @ z
    covariance = (z - mean).T @ ((z - mean) * weights[:, None])
    # Loud signals leave a thousandth of the prior's width: what keeps the matrix regular is relative to it.
    root = np.linalg.cholesky(covariance + np.diag(1e-8 * np.diag(covariance) + 1e-16)) * inflate
    x = np.ascontiguousarray((z - mean) @ np.linalg.inv(root).T)
    noise = _NOISE * effective_size(log_weights) ** (-1 / 8)
    held = rng.random(len(x)) < _HELD_OUT
    test, test_weights = torch.from_numpy(x[held].astype(np.float32)), torch.from_numpy(weights[held])
    with _SEEDED, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        flow = unconditional_flow(z.shape[1])
    parameters = list(flow.parameters())
    optimiser = Adam(parameters)
    pool = x[~held][resample(log_weights[~held], steps * batch, rng)]
    pool = pool + noise * rng.normal(size=pool.shape)
    data = torch.from_numpy(pool.astype(np.float32))
    lowest, best = np.inf, None
    for step in range(steps):
        loss = -flow().log_prob(data[step * batch : (step + 1) * batch]).mean()
        for parameter in parameters:
            parameter.grad = None
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 5.0)
        optimiser.step(learning_rate)
        learning_rate *= (1 + np.cos(np.pi * (step + 1) / steps)) / (1 + np.cos(np.pi * step / steps))
        if step % _CHECK == _CHECK - 1 or step == steps - 1:
            with torch.no_grad():
                now = float(-(test_weights * flow().log_prob(test).double()).sum())
            if best is None or now < lowest:
                lowest, best = now, {key: value.clone() for key, value in flow.state_dict().items()}
        if progress:
            progress(step + 1, steps)
    assert best is not None
    flow.load_state_dict(best)
    return FlowProposal(flow.eval()(), mean, root, widen, flow)
