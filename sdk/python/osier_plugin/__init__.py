# SPDX-License-Identifier: Apache-2.0 OR MIT
"""Osier policy plugins in Python: functions that build answers, and the configuration of a plugin."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any, Callable, Dict, List, Optional

from componentize_py_types import Err

try:
    # The words of `osier:policy/types`, as componentize-py calls them in a world that has no other interface `types`, or in one that has.
    from wit_world.imports import types as words
except ImportError:
    try:
        from wit_world.imports import osier_policy_types as words
    except ImportError:
        # This plugin uses none of them.
        words = None

Headers = Dict[str, str]


def allow(
    *,
    request_headers: Optional[Headers] = None,
    response_headers: Optional[Headers] = None,
    valid_for: Optional[float] = None,
    valid_uses: Optional[int] = None,
) -> words.Decision:
    """The call passes; perhaps with headers set on the request or on the response. `valid_for` is in seconds."""
    if not (request_headers or response_headers or valid_for):
        return words.Decision_Allow()
    return words.Decision_AllowWith(
        words.Approval(set_all(request_headers), set_all(response_headers), span(valid_for), valid_uses)
    )


def deny(
    status: int,
    *,
    reason: str = "",
    headers: Optional[Headers] = None,
    body: str = "",
    valid_for: Optional[float] = None,
    valid_uses: Optional[int] = None,
) -> words.Decision:
    """The call is answered with this status. The reason is for logs; the caller sees headers and body."""
    return words.Decision_Deny(words.Denial(status, reason, pairs(headers), body, span(valid_for), valid_uses))


def configuration(read: Callable[[Any], None]) -> type:
    """The class `Configuration` of a plugin: `read` gets `spec.config` of the Plugin object; a ValueError, KeyError or TypeError refuses it."""

    class Configuration:
        def configure(self, json_text: str) -> None:
            try:
                read(json.loads(json_text))
            except KeyError as error:
                raise Err(f"{error.args[0]}: is missing")
            except (TypeError, ValueError) as error:
                raise Err(str(error))

    return Configuration


def only_fields(config: Dict[str, Any], *known: str) -> None:
    """Refuses fields that nobody reads, so that a mistyped one is an error."""
    for name in config:
        if name not in known:
            raise ValueError(f"{name} is unknown; known are {', '.join(known)}")


def pairs(headers: Optional[Headers]) -> List[words.Header]:
    """Headers as the host takes them."""
    return [words.Header(name.lower(), value) for name, value in (headers or {}).items()]


def set_all(headers: Optional[Headers]) -> List[words.HeaderOperation]:
    """Operations that set headers."""
    return [words.HeaderOperation_Set(header) for header in pairs(headers)]


def span(seconds: Optional[float]) -> Optional[words.Duration]:
    """A span of time."""
    return None if seconds is None else words.Duration(round(seconds * 1e9))


def reporting(take: Callable[[List[Any]], None]) -> Callable[[Any, List[Any]], None]:
    """The method `report` (or `settle`) of a class that is told of calls that have ended: `take` gets each batch; what it raises loses the
    batch, and is counted and logged in its words."""

    def told(_plugin: Any, batch: List[Any]) -> None:
        try:
            take(batch)
        except Exception as error:
            raise Err(str(error) or type(error).__name__)

    return told


def text_of(value: Any) -> str:
    """A value as text, as logs and labels have it; empty if it is absent."""
    content = getattr(value, "value", None)
    if content is None:
        return ""
    if isinstance(content, bool):
        return str(content).lower()
    if hasattr(content, "seconds"):
        moment = datetime.fromtimestamp(content.seconds, timezone.utc).replace(tzinfo=None)
        return f"{moment.isoformat()}.{content.nanoseconds:09}Z"
    if hasattr(content, "nanoseconds"):
        return f"{content.nanoseconds}ns"
    if isinstance(content, list):
        return ",".join(f"{name}={text}" for name, text in content)
    return str(content)
