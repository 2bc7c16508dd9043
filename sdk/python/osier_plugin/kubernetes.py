# SPDX-License-Identifier: Apache-2.0 OR MIT
"""Answers of template `kubernetes`, an attribute generator."""

from dataclasses import fields
from typing import Any, Optional

from wit_world.exports.kubernetes import Generated, Output

from . import span


def generated(*, valid_for: Optional[float] = None, **facts: Any) -> Generated:
    """What is known, by the names of `wit/policy/kubernetes.wit`; the rest is absent. `valid_for` is in seconds."""
    known = [field.name for field in fields(Output)]
    for name in facts:
        if name not in known:
            raise TypeError(f"{name} is no fact; there are {', '.join(known)}")
    absent = {name: [] if name.endswith("_labels") else None for name in known}
    return Generated(Output(**{**absent, **facts}), span(valid_for), None)
