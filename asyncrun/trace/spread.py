"""How durations are spread: their quantiles, exact where each is known, about right where many are folded into one span."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spread:
    """How the durations of events that have ended are spread, in seconds; all 0 when none has."""

    p50: float = 0.0
    p95: float = 0.0
    most: float = 0.0


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the smallest value that at least `share` (0 to 1) of the values do not exceed; `ordered` is sorted, not empty.

    >>> percentile([1.0, 2.0, 3.0, 4.0], 0.5)
    2.0
    """
    # Whole thousandths, because 0.95 * 20 is a little more than 19 as a float.
    rank = -(-len(ordered) * round(share * 1000) // 1000)
    return ordered[max(rank, 1) - 1]


def spread_of(seconds: Iterable[float], folds: Sequence[Mapping[str, object]] = ()) -> Spread:
    """Return how durations are spread; `folds` are the attributes of spans that stand for many more.

    >>> spread_of([0.3, 0.1, 0.2])
    Spread(p50=0.2, p95=0.3, most=0.3)
    """
    exact = sorted(seconds)
    if not folds:
        return Spread(percentile(exact, 0.5), percentile(exact, 0.95), exact[-1]) if exact else Spread()
    parts = [{key: _number(fold, f"folded.{key}") for key in ("count", "min", "max", "p50", "p95")} for fold in folds]
    most = max([part["max"] for part in parts] + exact[-1:])
    if len(parts) == 1:
        # Its quantiles are those of all that are alike, and the exact ones are among them.
        return Spread(min(parts[0]["p50"], most), min(parts[0]["p95"], most), most)
    points = [(value, 1.0) for value in exact]
    for part in parts:
        points += [(part["min"], part["count"] * 0.25), (part["p50"], part["count"] * 0.5), (part["p95"], part["count"] * 0.25)]
    points.sort()
    return Spread(_weighted(points, 0.5), _weighted(points, 0.95), most)


def _weighted(points: Sequence[tuple[float, float]], share: float) -> float:
    left = share * sum(weight for _, weight in points)
    for value, weight in points:
        left -= weight
        if left <= 1e-9:
            return value
    return points[-1][0]


def _number(fold: Mapping[str, object], key: str) -> float:
    value = fold.get(key)
    return float(value) if isinstance(value, int | float) else 0.0
