"""Public strain by event name from the Gravitational Wave Open Science Center: downloaded once, checked ever after.

In the cache folder each file lies beside ``<file>.sha256``, written at the first download and verified at every use,
and ``<event>.json`` keeps the answer of the look-up, so that an event fetched once can be read without a network.
"""

from __future__ import annotations

import json
import logging
import os
import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.files import write_whole

logger = logging.getLogger(__name__)

SAMPLE_RATE = 4096
"""Rate (Hz) of the files asked for; GWOSC has every event at it."""

T = TypeVar("T")


def cache_folder() -> Path:
    """Where downloads are kept: ``$GWSML_CACHE/gwosc``, else the user's cache folder of this package."""
    import pooch

    return Path(os.environ.get("GWSML_CACHE") or pooch.os_cache("gwsurrogate_ml")) / "gwosc"


def fetch_event(
    event: str,
    detectors: tuple[str, ...] | None = None,
    *,
    cache: str | Path | None = None,
    attempts: int = 4,
    backoff: float = 1.0,
) -> tuple[float, dict[str, Path]]:
    """GPS time of an event and one local file of strain around it a detector.

    Parameters
    ----------
    event : str
        such as "GW150914"
    detectors : tuple of str, optional
        all that have data where left out
    cache : path, optional
        `cache_folder()` where left out
    attempts : int
        tries of each look-up and download
    backoff : float, s
        pause after the first failure; doubled after each further one

    Returns
    -------
    gps : float, GPS s
    files : dict of detector to path of a GWOSC HDF5 file (4096 Hz; 32 s where GWOSC has that, else longer)

    Raises
    ------
    ConfigError
        if `event` cannot be a name
    DataError
        if GWOSC cannot be reached, does not know the event, has no data of a detector, or a file fails its checksum
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.+-]*", event):
        raise ConfigError(f"{event!r} cannot be an event's name; give one such as GW150914")
    folder = cache_folder() if cache is None else Path(cache)
    record = folder / f"{event}.json"
    known = _recorded(record)
    satisfied = known["complete"] if detectors is None else set(detectors) <= set(known["urls"])
    if not satisfied:
        _require_writable(folder)
        gps, urls = _patiently(lambda: locate(event, detectors), f"look up {event}", attempts, backoff)
        known = {"gps": gps, "urls": known["urls"] | urls, "complete": known["complete"] or detectors is None}
        write_whole(record, json.dumps(known, indent=1))
    wanted = tuple(known["urls"]) if detectors is None else detectors
    if not all((folder / known["urls"][detector].rsplit("/", 1)[-1]).exists() for detector in wanted):
        _require_writable(folder)
    files = {}
    for detector in wanted:
        url = known["urls"][detector]
        files[detector] = _patiently(lambda url=url: _download(url, folder), f"download {url}", attempts, backoff)  # type: ignore[misc]
    return float(known["gps"]), files


def _require_writable(folder: Path) -> None:
    """Make the folder where there is none; raise ConfigError, with the remedy, unless files can be written in it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise ConfigError(
            f"the cache of downloads {folder} cannot be written ({error.strerror}): name another folder by GWSML_CACHE"
        ) from error


def _recorded(record: Path) -> dict[str, Any]:
    """The answer of an earlier look-up, or an empty one.

    Raises
    ------
    DataError
        if the file holds something else
    """
    if not record.exists():
        return {"gps": None, "urls": {}, "complete": False}
    try:
        known = json.loads(record.read_text())
        float(known["gps"]), dict(known["urls"]), bool(known["complete"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{record} is no record of a look-up ({error}): delete it and try again") from error
    return known


def locate(event: str, detectors: tuple[str, ...] | None) -> tuple[float, dict[str, str]]:
    """Ask GWOSC for the GPS time (s) of an event and the address of one HDF5 file a detector.

    Raises
    ------
    DataError
        if the event is unknown, or a detector has no data of it
    OSError
        if the network fails (requests' exceptions are subclasses)
    """
    from gwosc.datasets import event_detectors, event_gps
    from gwosc.locate import get_event_urls

    try:
        gps = float(event_gps(event))
        available = sorted(event_detectors(event))
    except ValueError as error:  # requests' JSON errors are ValueError and OSError at once
        if isinstance(error, OSError):
            raise
        raise DataError(f"GWOSC knows no event {event!r} ({error}); see https://gwosc.org/eventapi for names") from error
    missing = [d for d in detectors or () if d not in available]
    if missing:
        raise DataError(f"{event}: no data of {', '.join(missing)} at GWOSC; available: {', '.join(available)}")
    urls = {}
    for detector in detectors or available:
        found = get_event_urls(event, detector=detector, sample_rate=SAMPLE_RATE, format="hdf5")
        urls[detector] = choose(found, gps, f"{event}, {detector}")
    return gps, urls


def choose(urls: list[str], gps: float, what: str = "event") -> str:
    """Of GWOSC addresses ``...-<start>-<duration>.hdf5`` the shortest file that holds `gps` with 8 s on either side.

    Examples
    --------
    >>> choose(["https://x/H-H1-1126257415-4096.hdf5", "https://x/H-H1-1126259447-32.hdf5"], 1126259462.4)
    'https://x/H-H1-1126259447-32.hdf5'
    """
    spans = []
    for url in urls:
        if match := re.search(r"-(\d+)-(\d+)\.hdf5$", url):
            start, duration = int(match[1]), int(match[2])
            if start + 8 <= gps <= start + duration - 8:
                spans.append((duration, url))
    if not spans:
        raise DataError(f"{what}: GWOSC lists no file around GPS {gps:.1f} ({len(urls)} files listed); use local files")
    return min(spans)[1]


def _patiently(call: Callable[[], T], what: str, attempts: int, backoff: float) -> T:
    """Result of `call`, tried again after network errors with growing pauses."""
    for attempt in range(attempts):
        try:
            return call()
        except OSError as error:
            status = getattr(getattr(error, "response", None), "status_code", None)
            if status is not None and 400 <= status < 500 and status not in (408, 429):
                raise DataError(
                    f"cannot {what}: GWOSC answers {status}; check the event's name (https://gwosc.org/eventapi)"
                ) from error
            if attempt + 1 == attempts:
                raise DataError(
                    f"cannot {what} after {attempts} attempts ({type(error).__name__}): no network or GWOSC is down; "
                    "get the files on another machine and use StrainData.from_files or --strain H1=FILE"
                ) from error
            pause = backoff * 2**attempt
            logger.info("cannot %s (%s), trying again in %.1f s", what, error, pause)
            time.sleep(pause)
    raise ConfigError(f"attempts is {attempts}: give at least 1")


def _download(url: str, folder: Path) -> Path:
    """Path of the local copy of `url`, downloaded where it is missing or no longer has its recorded checksum."""
    import pooch

    name = url.rsplit("/", 1)[-1]
    recorded = folder / f"{name}.sha256"
    digest = recorded.read_text().split()[0] if recorded.exists() else None
    try:
        path = Path(
            pooch.retrieve(
                url,
                known_hash=digest and f"sha256:{digest}",
                fname=name,
                path=folder,
                downloader=pooch.HTTPDownloader(timeout=30),
            )
        )
    except ValueError as error:
        if isinstance(error, OSError):
            raise
        raise DataError(
            f"{name}: the file at GWOSC no longer has the checksum recorded at the first download; "
            f"if the change is expected, delete {recorded} and try again"
        ) from error
    if digest is None:
        write_whole(recorded, f"{pooch.file_hash(str(path))}  {name}\n")
    return path
