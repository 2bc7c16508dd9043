# SPDX-License-Identifier: Apache-2.0 OR MIT
"""Numbers that the node shows at `/metrics`.

The world must import `osier:policy/metrics`; the Plugin object must grant the name: `grants: {metrics: [NAME]}`.
"""

from typing import Sequence

from componentize_py_types import Err
from wit_world.imports import metrics
from wit_world.imports.metrics import Definition, Kind


def define(
    name: str,
    kind: str,
    *,
    description: str = "",
    labels: Sequence[str] = (),
    buckets: Sequence[float] = (),
) -> None:
    """Defines a family of kind `counter`, `gauge` or `distribution`; doing so again with the same words changes nothing.
    A ValueError if it is not granted, or defined otherwise by another plugin."""
    definition = Definition(name, Kind[kind.upper()], description, list(labels), list(buckets))
    try:
        metrics.define(definition)
    except Err as error:
        # In `configure` it refuses the Plugin object, in these words.
        raise ValueError(f"metric {name}: {error.value}")


def record(name: str, value: float, labels: Sequence[str] = ()) -> None:
    """Records a value under the values of the labels, in the order of the definition."""
    metrics.record_value(name, list(labels), float(value))
