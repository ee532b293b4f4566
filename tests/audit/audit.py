"""One instance audited: what the program proves and plans, beside the best of all schedules."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import adversary
import background
import files
from adversary import Forgery
from any_model import solve_any
from generate import Scale, features, generate, generate_served
from instance import Instance
from program import Program, Unexpected
from replay import random_schedule, replay
from step_model import solve_step
from value import value_any

#: Of times that are not exact: optima of claim `any`, and of programmes.
ROUNDING = 1e-9


@dataclass
class Outcome:
    """What was found of one instance."""

    seed: int
    features: list[str]
    bounds: dict[str, float] = field(default_factory=dict)  # by claim: bound / optimum
    plan: float | None = None  # planned / optimum of claim `step`
    undecided: list[str] = field(default_factory=list)  # claims whose optimum was not found in time
    forgeries: int = 0
    violations: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Audit:
    """How thorough to be."""

    scale: Scale = Scale(160)
    seconds: float = 5.0  # for each optimum
    forgeries: bool = True
    unlike: bool = False  # layers that differ, fixed traffic that grows, steps of several tokens
    served: bool = False  # served batches


def ratio(a: float, b: float) -> float:
    """a / b, where both may be 0."""
    return 1.0 if a == b else a / b if b else float("inf")


def proven_claims(found: dict[str, Any]) -> dict[str, Fraction]:
    """What `kvplace bound --json` proves, by claim."""
    proven = {"step": Fraction(found["bound_exact"])}
    return proven | {"any": Fraction(found["any"]["bound_exact"])} if "any" in found else proven


def audit_one(seed: int, how: Audit) -> Outcome:
    """The instance of a seed; whatever goes wrong is a violation."""
    instance = generate_served(seed, how.scale) if how.served else generate(seed, how.scale, how.unlike)
    outcome = Outcome(seed, features(instance))
    try:
        with Program(instance) as program:
            _audit(program, outcome, how)
    except Unexpected as error:
        outcome.violations.append(str(error))
    return outcome


def _audit(program: Program, outcome: Outcome, how: Audit) -> None:
    i, wrong = program.instance, outcome.violations
    found = program.bound()
    certificates = [files.read_certificate(path.read_bytes()) for path in sorted(program.folder.glob("*.cert"))]
    version, head, _, _ = certificates[0]
    wrong += [f"the head says {error}" for error in adversary.head_errors(i, head, version)]
    step = solve_step(i, how.seconds)
    if step is None:
        outcome.undecided += ["step", "any"]
        return
    exact = replay(i, step.placements)
    # Any schedule is at least the bound, the best of all or not, and the fraction is exact.
    bounds = proven_claims(found)
    optima: dict[str, float] = {"step": float(exact)}
    for claim, bound in bounds.items():  # Schedules of claim step are ones of claim any.
        if bound > exact:
            wrong.append(f"claim {claim}: proven {float(bound)!r} s, but a schedule takes {float(exact)!r} s")
    if abs(float(exact) - step.seconds) > 1e-8 * float(exact):
        wrong.append(f"the audit's programme says {step.seconds!r} s, its rules {float(exact)!r} s")
    whole_bytes = 2 * i.num_groups / min(i.bandwidth) if i.mirrored_reads == "split" else 0.0
    for placements in (step.placements, random_schedule(random.Random(outcome.seed), i)):
        taken, replayed = float(replay(i, placements)), program.replay(head["trace_digest"], placements)
        if not -ROUNDING * taken <= replayed - taken <= ROUNDING * taken + whole_bytes:
            wrong.append(f"kvplace replay takes {replayed!r} s for a schedule of {taken!r} s")
    late = []
    for placements in (step.placements, random_schedule(random.Random(outcome.seed + 1), i)):
        moves = background.in_some_order(random.Random(outcome.seed), i, placements)
        late.append(program.replay_background(head["trace_digest"], placements[0], moves))
        taken = float(background.replay(i, placements[0], moves))
        if not -ROUNDING * taken <= late[-1] - taken <= ROUNDING * taken + whole_bytes:
            wrong.append(f"kvplace replay takes {late[-1]!r} s for a schedule of {taken!r} s in the background")
    if step.optimal:
        outcome.plan = ratio(found["best_schedule_s"], float(exact))
        if outcome.plan < 1 - ROUNDING:
            wrong.append(f"planned {found['best_schedule_s']!r} s, below the best of all, {float(exact)!r} s")
    fluid = solve_any(i, how.seconds, step.placements)
    if fluid is not None:
        optima["any"] = fluid.seconds
        if "any" in bounds and float(bounds["any"]) > fluid.seconds * (1 + ROUNDING):
            wrong.append(f"claim any: proven {float(bounds['any'])!r} s, but a schedule takes {fluid.seconds!r} s")
        if fluid.optimal and i.overlap == "full" and min(late) < fluid.seconds * (1 - ROUNDING):
            wrong.append(f"copies in the background take {min(late)!r} s, below the optimum of claim any, "
                         f"{fluid.seconds!r} s")
        if fluid.optimal and fluid.seconds > float(exact) * (1 + ROUNDING):
            wrong.append(f"the audit's optimum of claim any, {fluid.seconds!r} s, is above that of step")
    for claim, decided in (("step", step.optimal), ("any", fluid is not None and fluid.optimal)):
        if not decided:
            outcome.undecided.append(claim)
        elif claim in bounds:
            outcome.bounds[claim] = ratio(float(bounds[claim]), optima[claim])
    if how.forgeries:
        for certificate in certificates:
            _forge(program, outcome, optima, exact, certificate)


def _forge(program: Program, outcome: Outcome, optima: dict[str, float], exact: Fraction,
           found: tuple[int, files.Head, list[list[int]], list[int]]) -> None:
    i, wrong = program.instance, outcome.violations
    version, head, channel, rows = found
    rng = random.Random(outcome.seed)
    forgeries = [*adversary.random_prices(rng, i, version, head, channel, rows),
                 *rng.sample(list(adversary.forged_heads(rng, version, head, channel, rows)), 6)]
    if version > 2:
        forgeries += rng.sample(list(adversary.malformed_heads(rng, version, head, channel, rows)), 2)
    for forgery in forgeries:
        outcome.forgeries += 1
        data = forgery.file()
        first, second = program.verify(data)
        if first.proven != second.proven:
            wrong.append(f"{forgery.what}: kvplace verify says {first}, verify_certificate.py {second}")
        if forgery.text and first.proven is not None:
            wrong.append(f"{forgery.what}: kvplace verify reads it")
        if not forgery.of_instance:
            if program.accepts(data):
                wrong.append(f"{forgery.what}: kvplace verify takes it for a certificate of the instance")
            continue
        claim = forgery.head.get("claim", "step")
        if first.proven is not None and claim in optima and (
                first.proven > exact or float(first.proven) > optima[claim] * (1 + ROUNDING)):
            wrong.append(f"{forgery.what}: proves {float(first.proven)!r} s of claim {claim}, "
                         f"optimum {optima[claim]!r} s")
        if first.proven is not None and "any" in optima:
            _on_paper(i, forgery, first.proven, optima["any"], wrong)


def _on_paper(i: Instance, forgery: Forgery, proven: Fraction, optimum: float, wrong: list[str]) -> None:
    """Prices, found for whatever claim, prove of claim `any` what its pages say; verifiers, which round, no more."""
    whole = forgery.head["ticks_per_second"] * forgery.head["unit_bytes"] * i.batch
    by_group = [[Fraction(a, whole) for a in prices] for prices in zip(*forgery.channel)]
    value = value_any(i, by_group, [Fraction(mu, whole) for mu in forgery.rows],
                      Fraction(forgery.head["start_price"], whole))
    if float(value) > optimum * (1 + ROUNDING):
        wrong.append(f"{forgery.what}: proves {float(value)!r} s of claim any on paper, optimum {optimum!r} s")
    if forgery.head.get("claim") == "any" and proven > max(value, Fraction(0)):
        wrong.append(f"{forgery.what}: proves {float(proven)!r} s of claim any, on paper {float(value)!r} s")
