"""A mixed-integer programme, put together row by row and solved by HiGHS."""

from __future__ import annotations

import dataclasses
import math
import os
import sys

import highspy
import numpy as np

INFINITY = highspy.kHighsInf

Expression = dict[int, float]  # coefficient of each variable


def _greeted() -> None:
    """HiGHS prints its name when its first solver is made; let that go nowhere."""
    sys.stdout.flush()
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        highspy.Highs()  # type: ignore[no-untyped-call]
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


_greeted()


@dataclasses.dataclass(frozen=True)
class Solution:
    """Values of the variables, the programme's value there, and whether it is the least of all."""

    values: list[float]
    objective: float
    optimal: bool


class Programme:
    """Variables with costs, rows, least cost."""

    def __init__(self) -> None:
        self.lower: list[float] = []
        self.upper: list[float] = []
        self.cost: list[float] = []
        self.whole: list[bool] = []
        self.rows: list[tuple[float, float, Expression]] = []

    def variable(self, lower: float = 0, upper: float = INFINITY, cost: float = 0, whole: bool = False) -> int:
        """A variable of this range."""
        self.lower.append(lower)
        self.upper.append(upper)
        self.cost.append(cost)
        self.whole.append(whole)
        return len(self.lower) - 1

    def binary(self) -> int:
        """A variable that is 0 or 1."""
        return self.variable(0, 1, whole=True)

    def row(self, lower: float, expression: Expression, upper: float = INFINITY) -> None:
        """lower <= expression <= upper."""
        self.rows.append((lower, upper, {v: c for v, c in expression.items() if c}))

    def solve(self, seconds: float, warm: dict[int, float] | None = None) -> Solution | None:
        """The best found in time; with its whole variables fixed the others are solved for again, exactly but for
        rounding. None if nothing was found."""
        solver = self._load(self.lower, self.upper, whole=True)
        solver.setOptionValue("time_limit", seconds)
        solver.setOptionValue("mip_rel_gap", 0.0)
        solver.setOptionValue("mip_abs_gap", 1e-10)
        solver.setOptionValue("mip_feasibility_tolerance", 1e-9)
        if warm:
            solver.setSolution(len(warm), np.array(list(warm), np.int32), np.array(list(warm.values())))
        solver.run()
        optimal = solver.getModelStatus() == highspy.HighsModelStatus.kOptimal
        values = list(solver.getSolution().col_value)
        if len(values) != len(self.lower) or not math.isfinite(solver.getInfo().objective_function_value) \
                or solver.getInfo().primal_solution_status != 2:
            return None
        fixed = [(round(x), round(x)) if whole else (low, high)
                 for x, whole, low, high in zip(values, self.whole, self.lower, self.upper)]
        solver = self._load([low for low, _ in fixed], [high for _, high in fixed], whole=False)
        solver.run()
        if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            return None
        return Solution(list(solver.getSolution().col_value), solver.getInfo().objective_function_value, optimal)

    def _load(self, lower: list[float], upper: list[float], whole: bool) -> highspy.Highs:
        model = highspy.HighsLp()
        model.num_col_, model.num_row_ = len(lower), len(self.rows)
        model.col_cost_, model.col_lower_, model.col_upper_ = map(np.array, (self.cost, lower, upper))
        model.row_lower_ = np.array([low for low, _, _ in self.rows])
        model.row_upper_ = np.array([high for _, high, _ in self.rows])
        matrix = model.a_matrix_
        matrix.format_ = highspy.MatrixFormat.kRowwise
        matrix.start_ = np.cumsum([0] + [len(row) for _, _, row in self.rows]).astype(np.int32)
        matrix.index_ = np.array([v for _, _, row in self.rows for v in row], np.int32)
        matrix.value_ = np.array([c for _, _, row in self.rows for c in row.values()], float)
        if whole:
            kinds = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
            model.integrality_ = [kinds[w] for w in self.whole]
        solver = highspy.Highs()  # type: ignore[no-untyped-call]
        solver.setOptionValue("output_flag", False)
        solver.setOptionValue("threads", 1)
        solver.setOptionValue("primal_feasibility_tolerance", 1e-10)
        solver.setOptionValue("dual_feasibility_tolerance", 1e-10)
        solver.passModel(model)
        return solver
