"""`python -m data_prep COMMAND`: the recipes as commands. One file holds all settings of a model: docs/how-to/catalogues.md."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path

from data_prep import (
    eob,
    eob_at_nr,
    glitches,
    inspiral,
    inspiral_truth,
    nr_training,
    nrsur7dq2,
    nrsur7dq2_aligned,
    precessing_nr,
    precessing_truth,
    remnants,
    seobnrv5phm,
)
from data_prep.catalogues import KINDS, Source
from data_prep.settings import Settings, read_settings
from gwsurrogate_ml import scale
from gwsurrogate_ml.errors import ConfigError, GwsmlError

DATA = Path(os.environ.get("GWSML_DATA", "../shared/data"))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m data_prep", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("eob", help="SEOBNRv5HM training waveforms (needs pyseobnr: `make nr`); resumes")
    command.add_argument("--config", type=Path, help="training configuration (TOML): ranges, and its table [data.eob]")
    command.add_argument("--out", type=Path, help="folder; with --config the configuration's `eob`")
    command.add_argument("--n", type=int)
    command.add_argument("--seed", type=int)
    command.add_argument("--workers", type=int, default=2)
    command.add_argument("--cluster", help="local, condor, slurm or the address of a Dask scheduler: --workers jobs there")
    what = {
        "eob-at-nr": "SEOBNRv5HM at the parameters of the NR runs (needs pyseobnr: `make nr`); resumes",
        "nr": "quality-controlled table of NR runs for training",
    }
    for name, text in what.items():
        command = commands.add_parser(name, help=text)
        command.add_argument("--config", type=Path, help="training configuration (TOML): its [[data.catalogue]] and `nr`")
        command.add_argument("--data", type=Path, default=DATA, help="folder of the project's own tables, the default")
        command.add_argument("--from", dest="kind", choices=KINDS, help="read this kind of catalogue instead")
        command.add_argument("--path", help="folder, file or pattern of the catalogue's files")
        command.add_argument("--simulations", help='SXS:BBH:0305,SXS:BBH:0001 (with --from sxs), or "aligned"')
        command.add_argument("--tag", help="version of the SXS catalogue; without it the latest")
        command.add_argument("--out", type=Path, help="with --config beside the configuration's `nr`")
        if name == "nr":
            command.add_argument("--eob-at-nr", type=Path)
    command = commands.add_parser("inspiral", help="SEOBNRv5HM before the set `eob` begins (needs pyseobnr: `make nr`); resumes")
    command.add_argument("--out", type=Path, required=True)
    command.add_argument("--n", type=int, default=inspiral.InspiralConfig.n)
    command.add_argument("--seed", type=int, default=inspiral.InspiralConfig.seed)
    command.add_argument("--workers", type=int, default=2)
    command = commands.add_parser("inspiral-truth", help="light binaries of SEOBNRv5HM for benchmarks (needs `make nr`)")
    command.add_argument("--out", type=Path, required=True, help="an .npz file")
    command.add_argument("--n", type=int, default=48)
    command.add_argument("--seed", type=int, default=11)
    command = commands.add_parser("nrsur7dq2", help="precessing training binaries of NRSur7dq2 (needs it: `make nr`); resumes")
    command.add_argument("--out", type=Path, required=True)
    command.add_argument("--n", type=int, default=nrsur7dq2.PrecessingSet.n)
    command.add_argument("--seed", type=int, default=nrsur7dq2.PrecessingSet.seed)
    command.add_argument("--workers", type=int, default=2)
    command = commands.add_parser("seobnrv5phm", help="the same of SEOBNRv5PHM (needs pyseobnr: `make nr`); resumes")
    command.add_argument("--out", type=Path, required=True)
    command.add_argument("--n", type=int, default=seobnrv5phm.EobSet.n)
    command.add_argument("--seed", type=int, default=seobnrv5phm.EobSet.seed)
    command.add_argument("--inside", action="store_true", help="within the model's range and not beyond its edges: for validation")
    command.add_argument("--workers", type=int, default=2)
    command = commands.add_parser("nrsur7dq2-aligned", help="NRSur7dq2 with spins along the orbit (needs it: `make nr`); resumes")
    command.add_argument("--out", type=Path, required=True)
    command.add_argument("--n", type=int, default=nrsur7dq2_aligned.AlignedSet.n)
    command.add_argument("--seed", type=int, default=nrsur7dq2_aligned.AlignedSet.seed)
    command.add_argument("--workers", type=int, default=2)
    command = commands.add_parser("precessing-truth", help="modes of NRSur7dq2 and SEOBNRv5PHM for benchmarks (needs `make nr`)")
    command.add_argument("--out", type=Path, required=True, help="an .npz file")
    command.add_argument("--n", type=int, default=200)
    command.add_argument("--seed", type=int, default=101)
    command.add_argument("--with-eob", type=int, default=50, help="how many of them with SEOBNRv5PHM too")
    command = commands.add_parser("precessing-nr", help="SEOBNRv5PHM at the precessing simulations' parameters (needs `make nr`)")
    command.add_argument("--data", type=Path, default=DATA)
    command.add_argument("--out", type=Path, required=True, help="an .npz file")
    command.add_argument("--q-max", type=float, default=2.0)
    command.add_argument("--chi-max", type=float, default=0.8)
    command = commands.add_parser("remnants", help="cleaned table of remnants from the SXS and RIT catalogues")
    command.add_argument("--data", type=Path, default=DATA)
    command.add_argument("--out", type=Path, required=True)
    command.add_argument(
        "--missing-eccentricity",
        choices=remnants.MISSING,
        default=remnants.RemnantConfig.missing_eccentricity,
        help="what becomes of runs whose eccentricity is not known",
    )
    command = commands.add_parser("glitch-prior", help="the shipped prior on glitches from a table of real ones")
    command.add_argument("--data", type=Path, default=DATA)
    command.add_argument("--out", type=Path, required=True, help="a .json file")
    return parser


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line and run one recipe."""
    given = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    settings = read_settings(given.config) if getattr(given, "config", None) else Settings()
    if given.command == "eob":
        out = _needed(given.out or settings.eob_folder, "--out")
        config = settings.eob_config(n=given.n, seed=given.seed)
        with scale.cluster(given.cluster, given.workers) as mapper:
            eob.generate(out, config, given.workers, mapper if given.cluster else None)
    elif given.command == "inspiral":
        inspiral.generate(given.out, inspiral.InspiralConfig(n=given.n, seed=given.seed), given.workers)
    elif given.command == "inspiral-truth":
        inspiral_truth.generate(given.out, given.n, given.seed)
    elif given.command == "nrsur7dq2":
        nrsur7dq2.generate(given.out, nrsur7dq2.PrecessingSet(n=given.n, seed=given.seed), given.workers)
    elif given.command == "seobnrv5phm":
        small = {"q_min": 2.0, "q_max": 6.0, "chi_max": 0.8} if given.inside else {}
        config = seobnrv5phm.EobSet(n=given.n, seed=given.seed, **small)
        seobnrv5phm.generate(given.out, config, given.workers)
    elif given.command == "nrsur7dq2-aligned":
        nrsur7dq2_aligned.generate(given.out, nrsur7dq2_aligned.AlignedSet(n=given.n, seed=given.seed), given.workers)
    elif given.command == "precessing-truth":
        precessing_truth.generate(given.out, given.n, given.seed, given.with_eob)
    elif given.command == "precessing-nr":
        precessing_nr.generate(given.data, given.out, given.q_max, given.chi_max)
    elif given.command == "remnants":
        config = remnants.RemnantConfig(missing_eccentricity=given.missing_eccentricity)
        remnants.build(given.data, given.out, config)
    elif given.command == "glitch-prior":
        glitches.build(given.data, given.out)
    else:
        sources = [_source(given)] if given.kind else settings.sources or [Source("tables", str(given.data))]
        beside = settings.nr_folder
        if given.command == "eob-at-nr":
            eob_at_nr.generate(sources, _needed(given.out or (beside and beside / "eob_at_nr.npz"), "--out"))
        else:
            reference = _needed(given.eob_at_nr or (beside and beside / "eob_at_nr.npz"), "--eob-at-nr")
            out = _needed(given.out or beside, "--out")
            nr_training.build(given.data, reference, out, settings.quality, sources, settings.eob.duration)


def _source(given: argparse.Namespace) -> Source:
    path = given.path or (str(given.data) if given.kind == "tables" else None)
    names = given.simulations or ()
    if isinstance(names, str) and names != "aligned":
        names = tuple(name.strip() for name in names.split(",") if name.strip())
    return Source(given.kind, path, names, given.tag)


def _needed(path: Path | None, option: str) -> Path:
    if path is None:
        raise ConfigError(f"say where by {option}, or give a configuration by --config")
    return path


if __name__ == "__main__":
    try:
        main()
    except GwsmlError as error:
        sys.exit(f"{type(error).__name__}: {error}")
