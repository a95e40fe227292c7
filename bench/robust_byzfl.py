#!/usr/bin/env python3
"""Time Choir's robust rules beside ByzFL's on the same vectors, in the same run.

    pip install byzfl
    go build -o choir ./cmd/choir
    python3 bench/robust_byzfl.py --choir ./choir
    python3 bench/robust_byzfl.py --choir ./choir --sizes 100x100000,100x1000000,1000x100000

ByzFL is installed for this comparison only; nothing of Choir needs it. Vectors are drawn
from a fixed seed in float32 and saved once; both read that file. A time is the least of
--times, of the rule alone without reading the file: `choir robust apply --time` states
its own. Both may use --threads threads. Results are compared too: --compat byzfl makes
Choir follow ByzFL's conventions. What ByzFL cannot hold in memory (its nnm gathers
n (n-f) d values) is left out above --memory.

Prints a table, or one JSON document with --json: seconds of both, how many times as long
ByzFL takes, and the largest difference between results relative to the largest value.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

# name in choir bench, arguments of choir robust apply, ByzFL's classes
RULES = [
    ("krum", ["--rule", "krum"], ["Krum"]),
    ("nnm-krum", ["--rule", "krum", "--pre", "nnm"], ["NNM", "Krum"]),
    ("nnm-trimmed-mean", ["--rule", "trimmed-mean", "--pre", "nnm"], ["NNM", "TrMean"]),
    ("median", ["--rule", "median"], ["Median"]),
    ("trimmed-mean", ["--rule", "trimmed-mean"], ["TrMean"]),
    ("geometric-median", ["--rule", "geometric-median"], ["GeometricMedian"]),
    ("meamed", ["--rule", "meamed"], ["Meamed"]),
]


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--choir", default="choir", help="path of the command (default: choir)")
    p.add_argument("--sizes", default="100x100000", help="vectors x values, separated by commas (default: 100x100000)")
    p.add_argument("--rules", default="", help="only these, separated by commas")
    p.add_argument("--times", type=int, default=3, help="times each rule is applied (default: 3)")
    p.add_argument("--threads", type=int, default=2, help="threads for both (default: 2)")
    p.add_argument("--memory", type=float, default=8, help="GiB that ByzFL may gather in nnm (default: 8)")
    p.add_argument("--json", action="store_true", help="print one JSON document")
    return p.parse_args()


def main():
    args = arguments()
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(args.threads)  # before NumPy is loaded
    import byzfl
    import numpy as np

    chosen = args.rules.split(",") if args.rules else [name for name, _, _ in RULES]
    unknown = set(chosen) - {name for name, _, _ in RULES}
    if unknown or args.times < 1 or args.threads < 1:
        sys.exit("unknown rules: " + ", ".join(sorted(unknown)) if unknown else "--times and --threads: at least 1")

    def theirs(classes, vectors, f):
        """Least seconds of ByzFL, and its result."""
        steps = [getattr(byzfl, c)(f) if c not in ("Median", "GeometricMedian") else getattr(byzfl, c)() for c in classes]
        least = float("inf")
        for _ in range(args.times):
            x = vectors
            began = time.perf_counter()
            for step in steps:
                x = step(x)
            least = min(least, time.perf_counter() - began)
        return least, np.asarray(x)

    def ours(rule, path, f):
        """Least seconds of Choir, and its result."""
        command = [args.choir, "robust", "apply", *rule, "--f", str(f), "--compat", "byzfl", "--in", path, "--json", "--time", str(args.times)]
        out = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={**os.environ, "GOMAXPROCS": str(args.threads)})
        doc = json.loads(out.stdout)
        return doc["seconds"], np.asarray(doc["result"])

    results = []
    with tempfile.TemporaryDirectory() as scratch:
        for size in args.sizes.split(","):
            n, d = map(int, size.split("x"))
            f = n // 5
            vectors = np.random.default_rng(1).standard_normal((n, d), dtype=np.float32)
            path = os.path.join(scratch, "vectors.npy")
            np.save(path, vectors)
            for name, rule, classes in RULES:
                if name not in chosen:
                    continue
                row = {"name": "robust/" + name, "n": n, "d": d, "f": f, "byzfl": None, "ratio": None, "difference": None}
                row["choir"], result = ours(rule, path, f)
                if "NNM" not in classes or n * (n - f) * d * vectors.itemsize <= args.memory * 2**30:
                    row["byzfl"], expected = theirs(classes, vectors, f)
                    row["ratio"] = row["byzfl"] / row["choir"]
                    row["difference"] = float(np.abs(result - expected).max() / np.abs(expected).max())
                results.append(row)
                if not args.json:
                    show(row, len(results) == 1)
    if args.json:
        print(json.dumps({"schema": "choir.robust-byzfl/1", "byzfl": version("byzfl"), "numpy": np.__version__, "threads": args.threads, "results": results}))


def version(package):
    from importlib.metadata import version as of

    return of(package)


def show(row, first):
    if first:
        print(f"{'rule':<26}{'n':>6}{'d':>9}{'choir s':>11}{'byzfl s':>11}{'ratio':>9}{'difference':>12}")
    rest = f"{row['byzfl']:>11.4f}{row['ratio']:>8.1f}x{row['difference']:>12.1e}" if row["byzfl"] is not None else "   beyond --memory"
    print(f"{row['name']:<26}{row['n']:>6}{row['d']:>9}{row['choir']:>11.4f}{rest}", flush=True)


if __name__ == "__main__":
    main()
