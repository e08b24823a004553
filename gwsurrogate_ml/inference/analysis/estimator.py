"""The estimator as users see it: strain in, an exact posterior out.

A trained network proposes chirp mass, mass ratio and spins, and the inclination where there are several modes or spins of any
direction; every draw is weighted with the exact likelihood, in which the other parameters are integrated; where the network's
proposal fits badly, a flow fitted to this event refines it.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gwsurrogate_ml import artifacts
from gwsurrogate_ml.conventions import INTRINSIC
from gwsurrogate_ml.errors import ArtifactError, ConfigError, DomainError, DomainWarning
from gwsurrogate_ml.inference.analysis.arrival import analysed, require_data
from gwsurrogate_ml.inference.analysis.conclude import conclude, other_ways, require_signal, require_strain, templates
from gwsurrogate_ml.inference.analysis.glitch import require_alone, sample_with_glitch
from gwsurrogate_ml.inference.analysis.nuisances import Integration
from gwsurrogate_ml.inference.analysis.preflight import draws_and_seed, spectrum_flags
from gwsurrogate_ml.inference.config import EstimatorConfig
from gwsurrogate_ml.inference.likelihood.segment import SegmentLikelihood
from gwsurrogate_ml.inference.likelihood.trigger import Trigger, search
from gwsurrogate_ml.inference.nuisances.envelope import Calibration
from gwsurrogate_ml.inference.nuisances.glitch_prior import Glitch
from gwsurrogate_ml.inference.nuisances.prior import requested
from gwsurrogate_ml.inference.prior.binary import in_space
from gwsurrogate_ml.inference.prior.composition import Prior
from gwsurrogate_ml.inference.prior.inclined import InclinedPrior, proposed
from gwsurrogate_ml.inference.proposal.flows import network_proposals
from gwsurrogate_ml.inference.proposal.novelty import Novelty
from gwsurrogate_ml.inference.proposal.summaries import observe
from gwsurrogate_ml.inference.sampling.checkpoint import kept_in
from gwsurrogate_ml.inference.sampling.kinds import sampler_of
from gwsurrogate_ml.inference.sampling.rounds import SamplingOptions, weigh
from gwsurrogate_ml.inference.training.simulator import n_features
from gwsurrogate_ml.inference.training.sources import band_frequencies
from gwsurrogate_ml.surrogate.load import load_model
from gwsurrogate_ml.waveform.model import WaveformModel, require_quadrupole

if TYPE_CHECKING:
    from gwsurrogate_ml.inference.result.result import Result
    from gwsurrogate_ml.strain.data import StrainData
    from gwsurrogate_ml.strain.segment import AnalysisSegment

DEFAULT = "bbh-h1l1"
LEAST_REACH = 350.0
"""Hz: data that say nothing above are too far from the training."""


class Estimator:
    """A trained network with its surrogate, ready to analyse events.

    Parameters
    ----------
    card, tensors : as `artifacts.load` returns them
    model : WaveformModel, optional
        of the same parameters, instead of the surrogate named in the card

    Examples
    --------
    >>> estimator = load_estimator()                                   # doctest: +SKIP
    >>> result = estimator.sample(StrainData.from_gwosc("GW150914"))   # doctest: +SKIP
    """

    def __init__(self, card: dict[str, Any], tensors: dict[str, np.ndarray], model: WaveformModel | None = None) -> None:
        import torch

        from gwsurrogate_ml.inference.proposal.density import PosteriorNetwork

        artifacts.require(card, config=dict, ranges=dict, training_data=dict, **({"proposed": list} if "proposed" in card else {}))
        self.info = card
        self._proposed = tuple(card.get("proposed", INTRINSIC))
        self._model = None if model is None else self._fitting(load_model(model))
        state = {k.removeprefix("network."): torch.from_numpy(v.copy()) for k, v in tensors.items() if k.startswith("network.")}
        try:
            self.config = EstimatorConfig.model_validate(card["config"])
            self.network = PosteriorNetwork(n_features(self.config), self.config.network, len(self._proposed))
            self.network.load_state_dict(state)
            self._functions = tensors["functions.real"].astype(np.float64) + 1j * tensors["functions.imag"].astype(np.float64)
            self._templates = tensors["templates.real"].astype(np.float64) + 1j * tensors["templates.imag"]
            self._reference = tensors["reference.real"] + 1j * tensors["reference.imag"]
            self._usual = Novelty(
                tensors["usual.low"],
                tensors["usual.high"],
                tensors["usual.limit"],
                len(self.config.segment.detectors),
                self.config.simulator.network_basis_size,
            )
        except (
            KeyError,
            ValueError,
            RuntimeError,
        ) as error:  # pydantic's errors are ValueErrors, torch's RuntimeErrors
            first = " ".join(str(error).split())[:200]
            raise ArtifactError(
                f"estimator {card.get('name')!r}: its card and weights do not belong together or to this version ({first}): get "
                "it again or train it anew"
            ) from error
        self.network.eval()
        self._band, self._frequencies = band_frequencies(self.config)

    def __repr__(self) -> str:
        detectors, (low, high) = self.config.segment.detectors, self.config.prior.chirp_mass
        return f"<{type(self).__name__} {self.info['name']}: {', '.join(detectors)}, chirp mass {low:g} to {high:g} solar masses>"

    @cached_property
    def model(self) -> WaveformModel:
        """The waveform model the likelihood uses: the surrogate the network was trained on."""
        return self._fitting(load_model(self.config.surrogate)) if self._model is None else self._model

    def _fitting(self, model: WaveformModel) -> WaveformModel:
        """`model`, if the network proposes what its analysis needs."""
        if self._proposed == INTRINSIC:
            return require_quadrupole(model)
        if model.quadrupole_only or self._proposed != (*model.space.names, "theta_jn"):
            raise ConfigError(
                f"the estimator {self.info['name']} proposes {', '.join(self._proposed)}, which are not the parameters of the "
                f"waveform model {model.name}: give another model or estimator"
            )
        return model

    def _identity(self) -> dict[str, Any]:
        """What identifies the waveform model of the likelihood, and the one trained on where that is another.

        Weights are exact for the likelihood's waveforms; only the efficiency can suffer if the network saw others.
        """
        trained, present = self.info["training_data"]["surrogate"], self.model.identity
        return present if present == trained else present | {"trained_on": trained}

    @property
    def prior(self) -> Prior:
        """The prior of the results: a `BinaryPrior` of aligned spins, a `ComposedPrior` of spins in any direction."""
        return in_space(self.config.prior, self.model.space)

    @property
    def proposed(self) -> Prior | InclinedPrior:
        """The prior of what the network proposes, in normal scores."""
        return proposed(self.prior, self.model, self.config.segment.f_min)

    def require_segment(self, segment: AnalysisSegment) -> None:
        """Raise unless the segment is one this estimator was trained for.

        Raises
        ------
        DomainError
            other detectors
        ConfigError
            other duration or band
        DataError
            data in other units than strain
        """
        wanted = self.config.segment
        self._require_detectors(segment)
        for name in ("duration", "f_min", "f_max"):
            if abs(getattr(segment, name) - getattr(wanted, name)) > 1e-9:
                raise ConfigError(
                    f"the segment has {name} = {getattr(segment, name):g}, this estimator was trained for "
                    f"{getattr(wanted, name):g}: make the segment with {name}={getattr(wanted, name):g}, or analyse it without "
                    "a trained network (`sample_event`, gwsml analyze --from-scratch)"
                )
        known = np.all(np.isfinite(segment.psd), axis=0) & segment.mask
        if (reach := float(segment.frequencies[known].max(initial=0.0))) < LEAST_REACH:
            raise ConfigError(
                f"the data say something up to {reach:g} Hz only: this estimator needs them up to {LEAST_REACH:g} Hz or more, "
                "get them at a higher sampling rate"
            )
        require_strain(segment)

    def _require_detectors(self, data: StrainData | AnalysisSegment) -> None:
        given, wanted = tuple(data.detectors), tuple(self.config.segment.detectors)
        if given != wanted:
            raise DomainError(
                f"the data are of {', '.join(given)}, this estimator was trained for {', '.join(wanted)}: "
                + other_ways(given, wanted)
            )

    def observe(self, likelihood: SegmentLikelihood, found: Trigger) -> Any:
        """The features (F,) of the data as the network takes them: whitened, aligned at the found times, projected."""
        loudest = 0.95 * self.info["ranges"]["network_snr"][1]
        return observe(likelihood, found, self._functions, self._templates, self._band, self._frequencies, loudest)

    def flags(self, observed: Any) -> list[str]:
        """What in the features (F,) of `observe` is unlike the data the network was trained on; empty if nothing is."""
        return self._usual.flags(observed.numpy())

    def sample(
        self,
        data: StrainData | AnalysisSegment,
        n: int = 50_000,
        seed: int = 0,
        progress: Callable[[str, int, int], None] | None = None,
        options: SamplingOptions | None = None,
        checkpoint: str | Path | None = None,
        *,
        calibration: Calibration | None = None,
        waveform_error: str | tuple[float, float] | None = None,
        glitch: Glitch | None = None,
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
        checkpoint : path, optional
            folder that keeps what is done (`steps`): the same call goes on from there after a kill, with the same result. Steps of
            other calls stay there beside it: remove the folder when the result is saved
        calibration : mapping from detector to a file or `CalibrationEnvelope`, optional
            envelopes of calibration errors, which are integrated: see `nuisances.envelope`
        waveform_error : "surrogate" or (amplitude, phase), optional
            errors of the waveform, the same in all detectors, integrated, too: as wide as the surrogate estimates them, or with
            these standard deviations, of the amplitude relative, of the phase in rad
        glitch : str, sequence of str, or mapping from detector to GPS time or None; optional
            detectors, not all, that may have a glitch near the merger, which is integrated: see `analysis.glitch`. The event must
            then lie where it is said to, to within the prior on its time

        Returns
        -------
        Result

        Raises
        ------
        DomainError
            other detectors, no signal, or a posterior that the prior on chirp mass cuts off
        ConfigError
            a segment of other duration or band, or data that end below 350 Hz; no envelope for a detector, or one of another;
            a glitch in a detector that is not there, or at a time that is not
        DataError
            data that are not finite, in other units than strain, or of far more noise than their spectrum says; an envelope that is
            none, or does not cover the band

        Notes
        -----
        The event is looked for within 3 s of the time given (`arrival`), within a second where a segment is given; where it lies
        elsewhere, the prior on arrival time moves there and a flag says so.

        Data sampled at less than twice the estimator's f_max are used up to 92 % of their Nyquist frequency.
        """
        started = time.perf_counter()
        options = options or SamplingOptions()
        n, seed = draws_and_seed(n, seed, options.n_sets)
        require_data(data)
        wanted = self.config.segment
        asked = requested(data.detectors, (wanted.f_min, wanted.f_max), calibration, waveform_error)
        if glitch is not None:
            require_alone(asked)
            segment = self._segment(data, seed, False)
            return sample_with_glitch(self.sample, segment, self.model, self.prior, glitch, n, seed, progress, options, checkpoint)
        segment = self._segment(data, seed, options.centre_time)
        likelihood = SegmentLikelihood(segment, self.model)
        report = progress or (lambda stage, done, total: None)
        found = search(likelihood, self.prior, self._reference, self._band, seed, lambda done, total: report("search", done, total))
        flags = spectrum_flags(likelihood, found)
        self._check_loudness(found)
        errors = Integration.of(asked, likelihood, found)
        soft, seen = errors.drawn_from, errors.found
        sampler = sampler_of(self.model)(
            soft, self.prior, seen, n_sets=options.n_sets, n_points=options.n_points, seed=seed, progress=report
        )
        observed = self.observe(soft, seen)
        flags += self.flags(observed)
        for flag in flags:
            warnings.warn(flag, DomainWarning, stacklevel=2)
        proposals = network_proposals(self.network.distribution(observed), options.widen, seen.network_snr)
        identity = {
            "estimator": self.info["name"],
            "estimator_sha256": self.info.get("weights_sha256"),
            "surrogate": self._identity(),
            "flags": flags,
        }
        fixed: dict[str, Any] = {
            "identity": identity,
            "prior": self.prior.record(segment.gps),
            "options": options,
            "n": n,
            "seed": seed,
        } | errors.identity
        steps = kept_in(checkpoint, segment=segment, probe=found.waveform, **fixed)
        draws, log_weights, rounds = weigh(sampler, proposals, n, seed, options, steps)
        result = conclude(sampler, draws, log_weights, rounds, options, seed, identity, started - steps.spent, likelihood)
        return errors.applied(result, lambda: templates(likelihood, self.prior), seed, steps, report, started)

    def _segment(self, data: StrainData | AnalysisSegment, seed: int, centre: bool) -> AnalysisSegment:
        """What is analysed: the data cut as the estimator was trained, around where the event is."""
        require_data(data)
        self._require_detectors(data)
        wanted = self.config.segment
        options = {"duration": wanted.duration, "f_min": wanted.f_min, "f_max": wanted.f_max, "extend": True}
        return analysed(data, options, self.model, self.prior, seed, self.require_segment, centre)

    def _check_loudness(self, found: Trigger) -> None:
        require_signal(found, self.prior)
        low, high = self.info["ranges"]["network_snr"]
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
        waveform model of the same parameters for the likelihood, instead of the surrogate the network was trained on: the result
        is exact for it

    Raises
    ------
    ArtifactError
        unknown name, foreign or damaged files
    """
    return Estimator(*artifacts.load(name_or_path, "estimator"), model=model)
