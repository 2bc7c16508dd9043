# SPDX-License-Identifier: Apache-2.0 OR MIT
"""The hook `schedule`: a class `Schedule` with `score(pod, candidates)`, which gives one opinion for each. The world exports
`osier:extension/schedule`."""

from wit_world.exports.schedule import Opinion, Opinion_Infeasible, Opinion_Score


def score(points: int) -> Opinion:
    """It may run there; 0 to 100, more is better."""
    return Opinion_Score(points)


def infeasible(reason: str) -> Opinion:
    """It must not run there, and why."""
    return Opinion_Infeasible(reason)
