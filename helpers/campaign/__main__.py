"""Command line of campaigns: run, status, export."""

import argparse
import sys
from pathlib import Path

from helpers.campaign import CampaignError, export, run, status


def main(arguments=None) -> int:
    """Run a command; return 0 after success, 1 after an error, 130 after Ctrl-C."""
    parser = argparse.ArgumentParser("python -m helpers.campaign")
    parser.description = "Large campaigns of simulations that survive a crash: docs/campaigns.md."
    parser.epilog = f"example: {parser.prog} run docs/recipes/dead_time.py lf --simulations 1000000"
    commands = parser.add_subparsers(required=True, metavar="{run,status,export}")
    make = commands.add_parser("run", help="simulate what is missing")
    make.set_defaults(command=_run)
    make.add_argument("recipe", help="Python file with prior and simulate(theta, generator)")
    make.add_argument("folder", help="campaign folder; on a cluster, one that all workers see")
    make.add_argument("--simulations", type=int, required=True, help="a multiple of the shard size")
    make.add_argument("--shard", type=int, default=10_000, help="simulations in a file (10000)")
    make.add_argument("--seed", type=int, default=1, help="of the campaign (1)")
    make.add_argument("--device", help="cpu or cuda (cuda if there is a GPU and no --scheduler)")
    make.add_argument("--workers", type=int, help="local processes (one for each GPU or core)")
    make.add_argument("--scheduler", help="address of a Dask scheduler, or its file")
    look = commands.add_parser("status", help="how far it is")
    look.set_defaults(command=status)
    look.add_argument("folder")
    write = commands.add_parser("export", help="files of equal size, without failed simulations")
    write.set_defaults(command=_export)
    write.add_argument("folder")
    write.add_argument("out", help="folder to make")
    write.add_argument("--format", choices=("parquet", "torch"), default="parquet")
    write.add_argument("--piece", type=int, default=1_000_000, help="simulations in a file (10⁶)")
    options = vars(parser.parse_args(arguments))
    try:
        print(options.pop("command")(**options))
    except (CampaignError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped: the same command continues from here", file=sys.stderr)
        return 130
    return 0


def _run(scheduler, **options):
    if scheduler is None:
        return run(**options)
    from distributed import Client

    is_file = Path(scheduler).is_file()
    with Client(**{"scheduler_file" if is_file else "address": scheduler}) as client:
        return run(**options, client=client)


def _export(folder, out, **options):
    written, found = export(folder, out, **options), status(folder)
    missing = found.simulations - found.done
    left = f"{found.failed:,} that failed, {missing:,} that are not made yet"
    return f"{written:,} simulations in {out}; left out: {left}"


if __name__ == "__main__":
    sys.exit(main())
