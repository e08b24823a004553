"""Distances uniform in comoving volume and source-frame time, the catalogues' prior: exact weights on draws under one ~ d^2."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gwsurrogate_ml.inference.result.draws import prior_of

if TYPE_CHECKING:
    from gwsurrogate_ml.inference.result.result import Result


def in_comoving_source_frame(result: Result, seed: int) -> Result:
    """The result under bilby's `UniformSourceFrame` (Planck15) in place of its prior on luminosity distance, on the same range.

    Efficiency and number of draws are of both steps together; what the first came to is in the meta data, under "drawn_from".
    """
    from bilby.gw.prior import UniformSourceFrame

    priors = prior_of(result)
    old = priors["luminosity_distance"]
    priors["luminosity_distance"] = UniformSourceFrame(
        old.minimum, old.maximum, cosmology="Planck15", name="luminosity_distance", unit="Mpc"
    )
    done = result.with_prior(priors, seed)
    drawn_from = {name: getattr(result, name) for name in ("n_draws", "sample_efficiency", "pareto_k", "log_evidence")}
    return replace(
        done,
        n_draws=result.n_draws,
        sample_efficiency=result.sample_efficiency * done.sample_efficiency,
        meta=done.meta | {"drawn_from": drawn_from},
    )
