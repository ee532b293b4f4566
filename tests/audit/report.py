"""The table of an audit: how near bound and schedule come to the best of all, by feature."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from audit import Outcome


def table(outcomes: Sequence[Outcome]) -> list[str]:
    """Lines of Markdown: by feature, mean and least bound / optimum of each claim, mean and greatest plan / optimum."""
    claims = sorted({claim for outcome in outcomes for claim in outcome.bounds}, reverse=True)
    head = ["feature", "instances"]
    for claim in claims:
        head += [f"`{claim}`: bound / optimum, mean", "least", "equal"]
    head += ["plan / optimum, mean", "greatest", "equal"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    names = sorted({name for outcome in outcomes for name in outcome.features}, key=lambda name: (name != "all", name))
    for name in names:
        with_it = [outcome for outcome in outcomes if name in outcome.features]
        cells = [name, f"{len(with_it):,}"]
        for claim in claims:
            cells += _cells([o.bounds[claim] for o in with_it if claim in o.bounds], min)
        cells += _cells([o.plan for o in with_it if o.plan is not None], max)
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _cells(ratios: list[float], worst: Callable[[list[float]], float]) -> list[str]:
    """Mean, worst, and how many are 1 within a millionth."""
    if not ratios:
        return ["-"] * 3
    equal = sum(abs(r - 1) < 1e-6 for r in ratios) / len(ratios)
    return [f"{sum(ratios) / len(ratios):.4f}", f"{worst(ratios):.4f}", f"{100 * equal:.0f} %"]


def worst(outcomes: Sequence[Outcome]) -> list[str]:
    """The seeds where bounds and schedules are farthest from the best of all."""
    lines = []
    for claim in ("step", "any"):
        if known := [(o.bounds[claim], o.seed) for o in outcomes if claim in o.bounds]:
            lines.append(f"least bound / optimum of `{claim}`: "
                         + ", ".join(f"{share:.4f} (seed {seed})" for share, seed in sorted(known)[:3]))
    if planned := [(o.plan, o.seed) for o in outcomes if o.plan is not None]:
        lines.append("greatest plan / optimum: "
                     + ", ".join(f"{share:.4f} (seed {seed})" for share, seed in sorted(planned, reverse=True)[:3]))
    if undecided := [o.seed for o in outcomes if o.undecided]:
        lines.append(f"optimum not found in time: seeds {', '.join(map(str, sorted(undecided)))}")
    return lines


def summary(outcomes: Sequence[Outcome]) -> str:
    """One line of counts."""
    undecided = {claim: sum(claim in o.undecided for o in outcomes) for claim in ("step", "any")}
    return (f"{len(outcomes):,} instances, {sum(o.forgeries for o in outcomes):,} certificates forged, "
            f"{sum(len(o.violations) for o in outcomes):,} violations; optimum not found in time: "
            + ", ".join(f"{number} of `{claim}`" for claim, number in undecided.items()))
