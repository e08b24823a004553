"""The estimator as users see it: strain in, an exact posterior out.

A trained network proposes chirp mass, mass ratio and spins; every draw is weighted with the exact likelihood, in
which the other seven parameters are integrated; where the network's proposal fits badly, a flow fitted to this event
refines it.
"""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gwsurrogate_ml import artifacts
from gwsurrogate_ml.errors import ArtifactError, ConfigError, DomainError, DomainWarning
from gwsurrogate_ml.inference.config import EstimatorConfig
from gwsurrogate_ml.inference.importance import (
    summarise,
)
from gwsurrogate_ml.inference.likelihood import SegmentLikelihood, WaveformModel
from gwsurrogate_ml.inference.refine import FlowProposal
from gwsurrogate_ml.inference.result import Result, make_result
from gwsurrogate_ml.inference.rounds import SamplingOptions, check_edges, weigh
from gwsurrogate_ml.inference.sampling import EventSampler
from gwsurrogate_ml.inference.search import Found, search
from gwsurrogate_ml.inference.simulator import band_frequencies, features, n_features

if TYPE_CHECKING:
    from gwsurrogate_ml.strain.data import StrainData
    from gwsurrogate_ml.strain.segment import AnalysisSegment

logger = logging.getLogger(__name__)
DEFAULT = "bbh-h1l1"
QUIET = 7.0
"""Network signal-to-noise ratio below which noise alone often reaches the loudest template: no signal."""


class Estimator:
    """A trained network with its surrogate, ready to analyse events.

    Parameters
    ----------
    card, tensors : as `artifacts.load` returns them
    model : WaveformModel, optional
        instead of the surrogate named in the card

    Examples
    --------
    >>> estimator = load_estimator()                                   # doctest: +SKIP
    >>> result = estimator.sample(StrainData.from_gwosc("GW150914"))   # doctest: +SKIP
    """

    def __init__(
        self, card: dict[str, Any], tensors: dict[str, np.ndarray], model: WaveformModel | None = None
    ) -> None:
        import torch

        from gwsurrogate_ml.inference.network import PosteriorNetwork

        self.info = card
        self._model = model
        state = {
            k.removeprefix("network."): torch.from_numpy(v.copy())
            for k, v in tensors.items()
            if k.startswith("network.")
        }
        try:
            self.config = EstimatorConfig.model_validate(card["config"])
            self.network = PosteriorNetwork(n_features(self.config), self.config.network)
            self.network.load_state_dict(state)
            self._basis = tensors["basis.real"].astype(np.float64) + 1j * tensors["basis.imag"]
            self._reference = tensors["reference.real"] + 1j * tensors["reference.imag"]
        except (
            KeyError,
            ValueError,
            RuntimeError,
        ) as error:  # pydantic's errors are ValueErrors, torch's RuntimeErrors
            first = str(error).strip().splitlines()[0]
            raise ArtifactError(
                f"estimator {card.get('name')!r}: its card and weights do not belong together or to this version ({first}): get "
                "it again or train it anew"
            ) from error
        self.network.eval()
        self._band, self._frequencies = band_frequencies(self.config)

    @cached_property
    def model(self) -> WaveformModel:
        """The waveform model the likelihood uses: the surrogate the network was trained on."""
        if self._model is not None:
            return self._model
        from gwsurrogate_ml.inference.training import load_model

        model, identity = load_model(self.config.surrogate)
        trained = self.info["training_data"]["surrogate"].get("weights_sha256")
        if trained and identity.get("weights_sha256") != trained:
            # The weights of the draws use the present surrogate, so the result stays exact: only the efficiency can
            # suffer.
            logger.warning("the surrogate %s is not the one this estimator was trained on", self.config.surrogate)
        return model

    @property
    def prior(self) -> Any:
        """The prior of the results: `BinaryPrior`."""
        return self.config.prior

    def require_segment(self, segment: AnalysisSegment) -> None:
        """Raise unless the segment is one this estimator was trained for.

        Raises
        ------
        DomainError
            other detectors
        ConfigError
            other duration or band
        """
        wanted = self.config.segment
        if tuple(segment.detectors) != tuple(wanted.detectors):
            raise DomainError(
                f"the data are of {', '.join(segment.detectors)}, this estimator was trained for {', '.join(wanted.detectors)}: "
                "pass those detectors or train an estimator for these"
            )
        for name in ("duration", "f_min", "f_max"):
            if abs(getattr(segment, name) - getattr(wanted, name)) > 1e-9:
                raise ConfigError(
                    f"the segment has {name} = {getattr(segment, name):g}, this estimator was trained for "
                    f"{getattr(wanted, name):g}: make the segment with {name}={getattr(wanted, name):g}"
                )

    def observe(self, likelihood: SegmentLikelihood, found: Found) -> Any:
        """The features (F,) of the data as the network takes them: whitened, aligned at the found times, projected."""
        import torch

        from gwsurrogate_ml.inference.psds import band_ratios

        whitening = np.sqrt(likelihood.weight[:, self._band])
        turns = np.exp(2j * np.pi * self._frequencies * found.aligned[:, None])
        projected = (whitening * likelihood.strain[:, self._band] * turns) @ np.conj(self._basis)
        rotation = (whitening * self._reference) @ np.conj(self._basis)
        bands = band_ratios(likelihood.segment.psd[:, self._band], self._frequencies)
        delay = (found.aligned[0] - found.aligned[1]) / 0.01
        return features(
            torch.from_numpy(projected)[None],
            torch.from_numpy(rotation)[None],
            torch.tensor([delay]),
            torch.from_numpy(bands)[None],
        )[0]

    def sample(
        self,
        data: StrainData | AnalysisSegment,
        n: int = 50_000,
        seed: int = 0,
        progress: Callable[[str, int, int], None] | None = None,
        options: SamplingOptions | None = None,
    ) -> Result:
        """The posterior of an event by importance sampling.

        Parameters
        ----------
        data : StrainData or AnalysisSegment
            of the detectors in `info`; StrainData are cut and transformed as the estimator was trained
        n : int
            draws of the intrinsic parameters that are weighted
        seed : int
            same seed, same result
        progress : callable, optional
            ``progress(stage, done, total)``
        options : SamplingOptions, optional

        Returns
        -------
        Result

        Raises
        ------
        DomainError
            other detectors, no signal, or a posterior that the prior on chirp mass cuts off
        ConfigError
            a segment of other duration or band
        DataError
            data that are not finite
        """
        started = time.perf_counter()
        options = options or SamplingOptions()
        if n < 100:
            raise ConfigError(f"n is {n}: weights need at least 100 draws")
        segment = self._segment(data)
        self.require_segment(segment)
        likelihood = SegmentLikelihood(segment, self.model)
        report = progress or (lambda stage, done, total: None)
        found = search(
            likelihood, self.prior, self._reference, self._band, seed, lambda done, total: report("search", done, total)
        )
        self._check_loudness(found)
        sampler = EventSampler(
            likelihood, self.prior, found, n_sets=options.n_sets, n_points=options.n_points, seed=seed, progress=report
        )
        network = FlowProposal(self.network.distribution(self.observe(likelihood, found)), widen=options.widen)
        draws, log_weights, rounds = weigh(self.prior, sampler, network, n, seed, options, report)
        summary = summarise(log_weights)
        check_edges(self.prior, draws.theta, log_weights, options)
        size = int(min(max(summary.effective, 100), options.max_posterior))
        posterior = sampler.complete(draws, log_weights, size, seed + 4)
        meta = {
            "estimator": self.info["name"],
            "estimator_sha256": self.info.get("weights_sha256"),
            "surrogate": self.info["training_data"]["surrogate"],
            "prior": self.prior.model_dump(mode="json"),
            "seed": seed,
            "options": asdict(options),
            "rounds": rounds,
            "basis_size": sampler.reduced.size if sampler.reduced else 0,
            "search": {
                "snr": dict(zip(segment.detectors, map(float, found.snr), strict=True)),
                "time": {
                    name: float(segment.start_time + t) for name, t in zip(segment.detectors, found.times, strict=True)
                },
                "chirp_mass": float(found.theta[0]),
            },
            "segment": {
                "detectors": list(segment.detectors),
                "gps": segment.gps,
                "start_time": segment.start_time,
                "duration": segment.duration,
                "f_min": segment.f_min,
                "f_max": segment.f_max,
                "roll_off": segment.roll_off,
            },
            "versions": artifacts.package_versions("numpy", "scipy", "torch", "zuko", "bilby"),
        }
        return make_result(
            draws,
            log_weights,
            summary,
            posterior,
            likelihood,
            options.n_sets,
            meta,
            lambda: time.perf_counter() - started,
        )

    def _segment(self, data: StrainData | AnalysisSegment) -> AnalysisSegment:
        from gwsurrogate_ml.strain.segment import AnalysisSegment

        if isinstance(data, AnalysisSegment):
            return data
        wanted = self.config.segment
        missing = [name for name in wanted.detectors if name not in data.detectors]
        if missing:
            raise DomainError(
                f"the data lack {', '.join(missing)}: this estimator was trained for {' and '.join(wanted.detectors)} together"
            )
        if tuple(data.detectors) != tuple(wanted.detectors):
            raise DomainError(
                f"the data are of {', '.join(data.detectors)}, this estimator was trained for {', '.join(wanted.detectors)}: "
                "pass those detectors alone, in this order"
            )
        return data.segment(duration=wanted.duration, f_min=wanted.f_min, f_max=wanted.f_max)

    def _check_loudness(self, found: Found) -> None:
        low, high = self.info["ranges"]["network_snr"]
        if found.network_snr < QUIET:
            raise DomainError(
                f"no signal: the loudest template reaches a network signal-to-noise ratio of {found.network_snr:.1f} within "
                f"{self.prior.time_half_width:g} s of the given time, noise alone often reaches {QUIET:g}; check the GPS time"
            )
        if not low <= found.network_snr <= high:
            warnings.warn(
                f"network signal-to-noise ratio {found.network_snr:.1f} lies outside the trained range {low:g} to {high:g}: "
                "watch efficiency and Pareto-k",
                DomainWarning,
                stacklevel=3,
            )


def load_estimator(name_or_path: str | Path = DEFAULT, model: WaveformModel | None = None) -> Estimator:
    """A trained estimator: a shipped one by name, or a folder written by `gwsml train estimator`.

    Parameters
    ----------
    name_or_path : str or Path
    model : WaveformModel, optional
        waveform model for the likelihood instead of the surrogate the network was trained on: the result is exact for
        it

    Raises
    ------
    ArtifactError
        unknown name, foreign or damaged files
    """
    return Estimator(*artifacts.load(name_or_path, "estimator"), model=model)
