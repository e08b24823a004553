"""`python -m data_prep COMMAND`: the recipes as commands."""

from __future__ import annotations

import argparse
import logging
import os
from pathlib import Path

from data_prep import eob, eob_at_nr, nr_training, remnants

DATA = Path(os.environ.get("GWSML_DATA", "../shared/data"))


def main() -> None:
    """Parse the command line and run one recipe."""
    parser = argparse.ArgumentParser(prog="python -m data_prep", description=main.__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("eob", help="SEOBNRv5HM training waveforms (needs pyseobnr: `make nr`)")
    command.add_argument("--out", type=Path, required=True)
    command.add_argument("--n", type=int, default=eob.EobConfig.n)
    command.add_argument("--seed", type=int, default=eob.EobConfig.seed)
    command.add_argument("--workers", type=int, default=2)
    command = commands.add_parser(
        "eob-at-nr", help="SEOBNRv5HM at the parameters of the NR runs (needs pyseobnr: `make nr`)"
    )
    command.add_argument("--data", type=Path, default=DATA)
    command.add_argument("--out", type=Path, required=True)
    command = commands.add_parser("nr", help="quality-controlled table of NR runs for training")
    command.add_argument("--data", type=Path, default=DATA)
    command.add_argument("--eob-at-nr", type=Path, required=True)
    command.add_argument("--out", type=Path, required=True)
    command = commands.add_parser("remnants", help="cleaned table of remnants from the SXS and RIT catalogues")
    command.add_argument("--data", type=Path, default=DATA)
    command.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    if arguments.command == "eob":
        eob.generate(arguments.out, eob.EobConfig(n=arguments.n, seed=arguments.seed), arguments.workers)
    elif arguments.command == "eob-at-nr":
        eob_at_nr.generate(arguments.data, arguments.out)
    elif arguments.command == "nr":
        nr_training.build(arguments.data, arguments.eob_at_nr, arguments.out)
    elif arguments.command == "remnants":
        remnants.build(arguments.data, arguments.out)


if __name__ == "__main__":
    main()
