"""A short table of what smoke.py, micro.py and the runs left in a folder."""

import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

folder = Path(sys.argv[1])


def lines(path: Path) -> list[dict[str, Any]]:
    """What a file has, line by line; of a stage that was cut off the last one may be a part."""
    found = []
    for line in path.read_text().splitlines() if path.exists() else ():
        with suppress(json.JSONDecodeError):
            found.append(json.loads(line))
    return found


graphs = {
    (r["kernel"], r["dtype"], r["name"]): r.get("graph_us")
    for r in lines(folder / "graph.jsonl")
    if r["mode"] == "inference"
}
print(
    "smoke: way, name: worst error/bound | host event wall graph us | peak MiB; what stands out, four layers"
)
shown = {"msa", "hilo", "van", "quadtree"}
failures = 0
for r in lines(folder / "smoke.jsonl") + [r for r in lines(folder / "graph.jsonl") if "failed" in r]:
    way = f"{r['mode'][:5]} {r['kernel']} {r['dtype']}{' graph' * (r['what'] == 'graph')}"
    if "failed" in r:
        failures += 1
        print(f"FAILED {way} {r['name']}: {r['failed'][:150]}")
        continue
    graph = graphs.get((r["kernel"], r["dtype"], r["name"])) if r["mode"] == "inference" else None
    worst = max(r["errors"])
    gap = graph and r["event_us"] > 1.1 * graph
    odd = worst > r["bound"] / 2 or not r["repeatable"] or gap
    if odd or (r["name"] in shown and r["kernel"] in ("explicit", "fused")):
        mark = (
            ("ERROR " * (worst > r["bound"]))
            + ("near bound " * (r["bound"] / 2 < worst <= r["bound"]))
            + ("gaps " * bool(gap))
        )
        print(
            f"{mark}{way} {r['name']}: {worst:.1e}/{r['bound']:g} | {r['host_us']:.0f} {r['event_us']:.0f} "
            f"{r['wall_us']:.0f} {graph and round(graph)} | {r['peak_mib']:.0f}"
        )
print(f"{failures} failures")
print("micro (us):")
for r in lines(folder / "micro.jsonl"):
    rest = {
        k: (round(v) if isinstance(v, float) else v)
        for k, v in r.items()
        if k not in ("what", "name", "dtype")
    }
    print(r["what"], r.get("name", ""), r.get("dtype", "").removeprefix("torch."), rest)
for records in sorted(folder.glob("*/records.jsonl")):
    rows = lines(records)
    outcomes: dict[str, int] = {}
    for row in rows:
        if row["role"] == "member":
            outcomes[row["outcome"]] = outcomes.get(row["outcome"], 0) + 1
    print(
        records.parent.name,
        outcomes,
        *{f"{r['outcome']}: {(r['reason'] or '')[:110]}" for r in rows if r["outcome"] != "measured"},
        sep="\n   ",
    )
