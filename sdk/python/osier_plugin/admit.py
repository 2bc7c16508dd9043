# SPDX-License-Identifier: Apache-2.0 OR MIT
"""The hook `admit`: a class `Admit` with `judge(review)`. The world exports `osier:extension/admit`."""

import json
from typing import Any, Dict, List

from wit_world.exports.admit import Denial, Operation, Verdict, Verdict_Allow, Verdict_Deny, Verdict_Patch, Verdict_Warn

__all__ = ["Operation", "admitted", "object_of", "patched", "rejected", "warned"]


def object_of(review: Any) -> Any:
    """The object as it would be stored, or for a delete as it is."""
    return json.loads(review.object)


def admitted() -> Verdict:
    """The write may go on."""
    return Verdict_Allow()


def warned(*warnings: str) -> Verdict:
    """It may go on, and the one who writes sees these warnings."""
    return Verdict_Warn(list(warnings))


def rejected(reason: str, field: str = "") -> Verdict:
    """It may not, because of this field if it is one."""
    return Verdict_Deny(Denial(reason, field))


def patched(operations: List[Dict[str, Any]]) -> Verdict:
    """It may go on with the object changed by this JSON patch (RFC 6902)."""
    return Verdict_Patch(json.dumps(operations))
