"""`python -m tests.simulator --seeds N`: simulate that many worlds and say what was found."""

import argparse
import json
import math
import multiprocessing
import signal
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from time import perf_counter

import msgspec

from tests.simulator.world import Outcome, begin_worker, simulate

TELL_EVERY_S = 30
# What waits in greenlets that never go on is not collected: some ten megabytes a world.
WORLDS_A_WORKER = 40


def main() -> int:
    """0 if every invariant held, in a world at least."""
    arguments = _arguments()
    if arguments.replay is not None:
        return _replay(arguments.replay)
    began = perf_counter()
    seeds = range(arguments.first, arguments.first + arguments.seeds)
    outcomes = _run(seeds, arguments.workers, arguments.minutes)
    seconds = perf_counter() - began
    failed = [outcome for outcome in outcomes if outcome.invariant is not None]
    if arguments.json:
        print(json.dumps(_summary(outcomes, seconds) | {"failed": [msgspec.to_builtins(each) for each in failed]}))
    else:
        _print(_summary(outcomes, seconds), failed)
    return 0 if outcomes and not failed else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulator", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many worlds")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--replay", type=int, default=None, help="run one seed again and tell its story")
    parser.add_argument("--workers", type=int, default=2, help="processes to use")
    parser.add_argument("--minutes", type=float, default=math.inf, help="sum up after so long (Ctrl-C: at once)")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of text")
    return parser.parse_args()


def _run(seeds: Sequence[int], workers: int, minutes: float) -> list[Outcome]:
    if workers <= 1:
        return list(_with_progress(map(simulate, seeds), len(seeds), minutes))
    spawning, of_ctrl_c = multiprocessing.get_context("spawn"), signal.signal(signal.SIGINT, signal.SIG_IGN)
    with spawning.Pool(workers, initializer=begin_worker, maxtasksperchild=WORLDS_A_WORKER) as pool:
        signal.signal(signal.SIGINT, of_ctrl_c)
        return list(_with_progress(pool.imap_unordered(simulate, seeds, chunksize=1), len(seeds), minutes))


def _with_progress(outcomes: Iterable[Outcome], seeds: int, minutes: float) -> Iterator[Outcome]:
    """The same, as far as the time goes, telling every half minute how far it is; a failure is told at once.

    Ctrl-C ends it as the time does: what is done is summed up.
    """
    began = told = perf_counter()
    done = emergencies = 0
    with suppress(KeyboardInterrupt):
        for outcome in outcomes:
            done, emergencies = done + 1, emergencies + outcome.emergencies
            if outcome.invariant is not None or perf_counter() - told > TELL_EVERY_S:
                told, failed = perf_counter(), f"; seed {outcome.seed} failed" if outcome.invariant else ""
                print(f"{done:,} of {seeds:,} seeds, {emergencies:,} emergencies{failed}", file=sys.stderr, flush=True)
            yield outcome
            if perf_counter() - began > 60 * minutes:
                return


def _replay(seed: int) -> int:
    outcome = simulate(seed, deaf=False)
    print(outcome.story)
    print(f"seed {seed}: {outcome.detail or 'every invariant held'}")
    return 1 if outcome.invariant else 0


def _summary(outcomes: list[Outcome], seconds: float) -> dict[str, object]:
    faults: Counter[str] = Counter()
    in_calls: Counter[str] = Counter()
    for outcome in outcomes:
        faults.update(outcome.faults)
        in_calls.update(outcome.in_calls)
    emergencies = sum(outcome.emergencies for outcome in outcomes)
    return {
        "seeds": len(outcomes),
        "emergencies": emergencies,
        "callbacks": sum(outcome.callbacks for outcome in outcomes),
        "probes": sum(outcome.probes for outcome in outcomes),
        "faults": {kind: [count, in_calls[kind]] for kind, count in sorted(faults.items())},
        "cpu_seconds": round(sum(outcome.cpu_seconds for outcome in outcomes), 1),
        "seconds": round(seconds, 1),
        "emergencies_per_second": round(emergencies / seconds) if seconds else 0,
    }


def _print(summary: dict[str, object], failed: list[Outcome]) -> None:
    for name, value in summary.items():
        if isinstance(value, dict):
            print("  faults, and how many of them struck while a leg was in progress:")
            for kind, (count, in_calls) in value.items():
                print(f"  fault: {kind:<24}{count:>12,}{in_calls:>12,}")
        else:
            print(f"{name:<24}{value:>20,}")
    for outcome in sorted(failed, key=lambda each: each.seed)[:20]:
        print(f"seed {outcome.seed} failed (--replay {outcome.seed} tells its story): {outcome.detail}")
    if not failed:
        print("every invariant held" if summary["seeds"] else "nothing was simulated")


if __name__ == "__main__":
    sys.exit(main())
