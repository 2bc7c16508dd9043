# SPDX-License-Identifier: Apache-2.0 OR MIT
"""For plugins that answer `quota`: what they answer, and the host's counters.

The world must export `osier:policy/quota` and import `osier:policy/counters`; the Plugin object must grant the bucket:
`grants: {keyvalue: [BUCKET]}`.
"""

from typing import Optional

from wit_world.exports.quota import Grant, Outcome, Outcome_Granted, Outcome_Refused, Refusal
from wit_world.imports import counters
from wit_world.imports.counters import Taken, Terms

from . import Headers, pairs, set_all, span, words


def granted(amount: int, response_headers: Optional[Headers] = None, *, valid_for: Optional[float] = None) -> Outcome:
    """The amount is granted; headers are set on the response. Where it is more than was wanted, the host hands the rest out for `valid_for`
    seconds to calls with the same dimensions, without asking."""
    return Outcome_Granted(Grant(amount, span(valid_for), set_all(response_headers)))


def refused(reason: str, *, retry_after_ns: Optional[int] = None, headers: Optional[Headers] = None) -> Outcome:
    """Nothing is granted: the caller gets 429."""
    retry_after = None if retry_after_ns is None else words.Duration(retry_after_ns)
    return Outcome_Refused(Refusal(reason, retry_after, pairs(headers)))


def take(bucket: str, key: str, amount: int, *, capacity: int, refill: int, interval: float, best_effort: bool = False) -> Taken:
    """Takes tokens from a bucket that starts full and refills `refill` tokens in each `interval` (seconds)."""
    return counters.take(bucket, key, amount, Terms(capacity, refill, round(interval * 1e9)), best_effort)
