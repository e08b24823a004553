"""Public alerts of the International Gravitational-Wave Observatory Network, format 1.x in JSON, and a result beside them.

An alert names the superevent, its time and detectors, and carries a multi-order sky map in base64; from format 1.2 on it may give
probabilities of bins of the chirp mass in the source frame. The format is described by the package igwn-gwalert-schema; an alert
itself does not say its version.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import io
import json
import re
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.inference.result.skymap import SkyMap

KINDS = ("EARLYWARNING", "PRELIMINARY", "INITIAL", "UPDATE")
RETRACTION = "RETRACTION"
NEEDED = ("superevent_id", "alert_type", "event")
NEEDED_OF_EVENT = ("time", "instruments", "group")
VERSIONS = ("version", "schema_version", "$schema")
"""Keys under which brokers and other formats say their version."""
ENVELOPES = ("content", "value", "message", "data")
"""Keys under which clients of brokers keep an alert in their records."""
UNNUMBERED = "http://emfollow.docs.ligo.org/_static/igwn.alerts.Alert.schema.json"
"""The schema's own name since format 1.2."""
NEGLIGIBLE = 1e-3
"""Probability of bins of chirp mass that are left out at either end."""


@dataclass(frozen=True, eq=False)
class Alert:
    """An alert of a binary.

    Attributes
    ----------
    superevent_id : str
    kind : str, one of `KINDS`
    gps : float, GPS s
    detectors : names, sorted
    pipeline : str
    chirp_mass_source : (low, high), Msun, source frame, or None
        the bins that hold all but `NEGLIGIBLE` at either end; the last bin may be open
    sky : SkyMap, or None where the alert has none
    """

    superevent_id: str
    kind: str
    gps: float
    detectors: tuple[str, ...]
    pipeline: str
    chirp_mass_source: tuple[float, float] | None = None
    sky: SkyMap | None = None

    def chirp_mass(self) -> tuple[float, float]:
        """Range (Msun, detector frame) that the pipeline's chirp mass leaves at the alert's distances: a prior to begin with.

        From the lowest mass at two standard deviations below the mean distance to the highest at two above.

        Raises
        ------
        ConfigError
            if the alert has no chirp mass, or no distance
        """
        distance = None if self.sky is None else self.sky.distance
        if self.chirp_mass_source is None or distance is None:
            lacks = "mchirp_source" if self.chirp_mass_source is None else "sky map with distances"
            raise ConfigError(f"the alert of {self.superevent_id} has no {lacks}: give --prior chirp_mass=LOW,HIGH")
        from astropy import units
        from astropy.cosmology import Planck15, z_at_value

        mean, scatter = distance
        edges = (0.0, *self.chirp_mass_source, np.inf)
        if not (all(a < b for a, b in pairwise(edges)) and np.isfinite([mean, scatter]).all() and mean > 0):
            raise ConfigError(
                f"the alert of {self.superevent_id} leaves the chirp mass open (source frame, {self.chirp_mass_source[0]:g} to "
                f"{self.chirp_mass_source[1]:g}, at {mean:g} Mpc): give --prior chirp_mass=LOW,HIGH"
            )
        (low, high), nearest = self.chirp_mass_source, max(mean - 2 * scatter, 0.1 * mean)
        near, far = (float(z_at_value(Planck15.luminosity_distance, d * units.Mpc).value) for d in (nearest, mean + 2 * scatter))
        return low * (1 + near), high * (1 + far)

    def beside(self, own: SkyMap | None) -> dict[str, Any]:
        """The alert's own numbers, and how far the sky map `own` agrees with the alert's; plain values.

        `overlap` is the probability that both maps give to the same places (1: the same map), `overlap_integral` that of the
        multi-messenger searches (4 pi times the integral of both densities), `in_region_90` what `own` gives to the alert's
        90 % region. Distances are means and standard deviations in Mpc.
        """
        found: dict[str, Any] = {
            "superevent_id": self.superevent_id,
            "alert_type": self.kind,
            "pipeline": self.pipeline,
            "detectors": list(self.detectors),
            "gps": self.gps,
            "chirp_mass_source": self.chirp_mass_source,
            "sky": None,
        }
        if self.sky is None or own is None:
            return found
        shared, integral = own.overlap(self.sky)
        found["sky"] = {
            "overlap": shared,
            "overlap_integral": integral,
            "in_region_90": own.probability_within(self.sky, 0.9),
            **{f"area_{round(100 * level)}": self.sky.area(level) for level in (0.5, 0.9)},
            "distance": self.sky.distance,
            "own_distance": own.distance,
        }
        return found


def read_alert(path: str | Path) -> Alert:
    """The alert in a JSON file.

    Raises
    ------
    DataError
        if the file is no alert of format 1.x about a binary, the alert is a retraction, or its sky map is damaged
    ConfigError
        without the extra `skymap`, where the alert has a sky map

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "alert.json"
    >>> event = {"time": "2015-09-14T09:50:45.4Z", "instruments": ["L1", "H1"], "group": "CBC", "pipeline": "gstlal"}
    >>> _ = file.write_text(json.dumps({"superevent_id": "S150914a", "alert_type": "INITIAL", "event": event}))
    >>> found = read_alert(file)
    >>> found.gps, found.detectors
    (1126259462.4, ('H1', 'L1'))
    """
    path = Path(path)
    content = _content(path)
    for key in set(VERSIONS) & set(content):
        number = re.search(r"\d+", str(content[key]))
        if (number is None or number[0] != "1") and content[key] != UNNUMBERED:
            raise DataError(f"{path}: {key} is {content[key]!r}, format 1.x is read: give the alert in that format")
    if missing := [name for name in NEEDED if name not in content]:
        raise DataError(f"{path} is no alert: it lacks {', '.join(missing)}; give a JSON alert of GCN's topic igwn.gwalert")
    if isinstance(content["superevent_id"], str):
        content["superevent_id"] = content["superevent_id"].strip()
    if not isinstance(content["superevent_id"], str) or not re.fullmatch(r"\w[\w.-]*", content["superevent_id"]):
        raise DataError(f"{path}: superevent_id is {content['superevent_id']!r}: a name is needed, such as S150914a")
    name, kind = content["superevent_id"], str(content["alert_type"]).upper().replace("_", "").replace(" ", "")
    if kind == RETRACTION:
        raise DataError(f"{path}: {name} was retracted, there is no event; to analyse it all the same, give an earlier alert")
    if kind not in KINDS:
        raise DataError(f"{path}: alert_type is {content['alert_type']!r}, known are {', '.join((*KINDS, RETRACTION))}")
    event = content["event"]
    if not isinstance(event, dict) or (missing := [key for key in NEEDED_OF_EVENT if key not in event]):
        lacks = "event" if not isinstance(event, dict) else ", ".join(missing)
        raise DataError(f"{path}: the alert of {name} has no {lacks}: give one that describes an event")
    if str(event["group"]).upper() != "CBC":
        raise DataError(f"{path}: {name} is of the group {event['group']!r}: only binaries (CBC) can be analysed")
    instruments = event["instruments"]
    if isinstance(instruments, str):  # as GraceDB has them
        instruments = [one.strip() for one in instruments.split(",") if one.strip()]
    if not isinstance(instruments, list) or not instruments or not all(isinstance(one, str) for one in instruments):
        raise DataError(f"{path}: instruments is {instruments!r}: a list of names such as H1 is needed")
    sky = _sky(event.get("skymap"), f"{path}, the sky map of {name}")
    mass = _chirp_mass(event.get("mchirp_source"), path)
    pipeline = str(event.get("pipeline") or "unknown")
    return Alert(name, kind, _gps(event["time"], path), tuple(sorted(instruments)), pipeline, mass, sky)


def _content(path: Path) -> dict[str, Any]:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}): give the file of an alert") from error
    if raw.startswith(b"\x1f\x8b"):
        try:
            raw = gzip.decompress(raw)
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"{path} is damaged ({error}): copy it again") from error
    if raw.startswith(b"Obj\x01"):
        raise DataError(f"{path} is Avro: give the alert in JSON, as GCN sends it")
    if raw.lstrip().startswith(b"<"):
        raise DataError(f"{path} is XML, perhaps a VOEvent: give the alert in JSON, as GCN sends it")
    try:
        content = json.loads(raw)
        if isinstance(content, str):  # JSON within JSON
            content = json.loads(content)
    except (ValueError, RecursionError) as error:
        several = isinstance(error, json.JSONDecodeError) and error.msg == "Extra data"
        why = "it holds several JSON objects: give the one meant" if several else f"it is not JSON ({str(error)[:100]})"
        raise DataError(f"{path} is no alert: {why}") from error
    for _ in range(3):  # records of SCiMMA's and GCN's clients
        if isinstance(content, list) and len(content) == 1:
            content = content[0]
        elif isinstance(content, dict) and "superevent_id" not in content:
            content = next((content[key] for key in ENVELOPES if isinstance(content.get(key), (dict, list))), content)
    if isinstance(content, list) and len(content) > 1:
        raise DataError(f"{path} holds {len(content)} alerts: give a file of the one meant")
    if not isinstance(content, dict):
        raise DataError(f"{path} is no alert: one JSON object is needed, a {type(content).__name__} is there")
    return content


def _gps(time: Any, path: Path) -> float:
    from astropy.time import Time

    try:
        moment = datetime.fromisoformat(re.sub(r" ?UTC$", "Z", time))
        return float(Time(moment if moment.tzinfo else moment.replace(tzinfo=UTC)).gps)
    except (ValueError, TypeError, OverflowError) as error:
        raise DataError(
            f"{path}: the event's time is {time!r}: a time in ISO 8601 is needed, such as 2015-09-14T09:50:45.4Z"
        ) from error


def _sky(text: Any, where: str) -> SkyMap | None:
    if text is None or text == "":
        return None
    if isinstance(text, str) and re.match(r"https?://", text):
        raise DataError(f"{where} is not in the alert, but at {text}: fetch it, and put it there in base64, or null")
    try:
        if isinstance(text, str):
            text = re.sub(r"\s|^data:[^,]*,", "", text).translate(str.maketrans("-_", "+/"))
        raw = base64.b64decode(text, validate=True)
        if raw.startswith(b"\x1f\x8b"):
            raw = gzip.decompress(raw)
    except (binascii.Error, ValueError, TypeError, OSError, EOFError, zlib.error) as error:
        raise DataError(f"{where} is damaged (no base64: {error}): fetch the alert again") from error
    try:
        return SkyMap.read(io.BytesIO(raw), "it")
    except DataError as error:
        raise DataError(f"{where} is damaged ({error}): fetch the alert again") from error


def _chirp_mass(bins: Any, path: Path) -> tuple[float, float] | None:
    """Ends of the bins that hold all but a negligible part."""
    if bins is None:
        return None
    try:
        edges, shares = (np.asarray(bins[key], np.float64) for key in ("bin_edges", "probabilities"))
        if edges.shape != (shares.size + 1,) or not (np.diff(edges) > 0).all() or not (shares >= 0).all() or not shares.sum() > 0:
            raise ValueError("edges that ascend are needed, and a probability for each bin")
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: mchirp_source holds no chirp masses ({error}): fetch the alert again") from error
    below = np.append(0.0, np.cumsum(shares) / shares.sum())
    first = int(np.searchsorted(below, NEGLIGIBLE, side="right")) - 1
    last = int(np.searchsorted(below, 1 - NEGLIGIBLE))
    return float(edges[first]), float(edges[last])
