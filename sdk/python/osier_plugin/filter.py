# SPDX-License-Identifier: Apache-2.0 OR MIT
"""The hook `filter`, around a request: classes `Request` (`on_request`, `on_request_body`), `Response` and `Trailers`.

The world exports `osier:filter/request`, `/response`, `/trailers`, as many as the plugin wants.
"""

from __future__ import annotations

from typing import Any, List, Optional

from wit_world.imports import osier_filter_types as filters

from . import Headers, pairs, set_all, words


def get(headers: List[words.Header], name: str) -> str:
    """The first value of a header; empty if there is none."""
    return next((header.value for header in headers if header.name == name.lower()), "")


def _changes(
    headers: Optional[Headers],
    remove: List[str],
    path: Optional[str],
    authority: Optional[str],
    method: Optional[str],
    status: Optional[int],
) -> List[Any]:
    operations: List[Any] = set_all(headers)
    operations += [words.HeaderOperation_Remove(name.lower()) for name in remove]
    changes: List[Any] = [filters.Operation_Header(operation) for operation in operations]
    line = {
        filters.Operation_Path: path,
        filters.Operation_Authority: authority,
        filters.Operation_Method: method,
        filters.Operation_Status: status,
    }
    return changes + [operation(value) for operation, value in line.items() if value is not None]


def proceed(
    headers: Optional[Headers] = None,
    *,
    remove: List[str] = [],
    path: Optional[str] = None,
    authority: Optional[str] = None,
    method: Optional[str] = None,
    status: Optional[int] = None,
) -> filters.HeadVerdict:
    """The message goes on, with headers set and other changes; its body streams by untouched."""
    return filters.HeadVerdict_Proceed(_changes(headers, remove, path, authority, method, status))


def need_body(limit: int) -> filters.HeadVerdict:
    """The decision needs the whole body, of at most so many bytes."""
    return filters.HeadVerdict_NeedBody(limit)


def _reply(status: int, reason: str, headers: Optional[Headers], body: bytes) -> filters.Response:
    return filters.Response(status, pairs(headers), body, reason)


def respond(
    status: int, *, reason: str = "", headers: Optional[Headers] = None, body: bytes = b""
) -> filters.HeadVerdict:
    """This is sent to the caller instead. The reason is for logs."""
    return filters.HeadVerdict_Respond(_reply(status, reason, headers, body))


def pass_on(
    headers: Optional[Headers] = None,
    *,
    body: Optional[bytes] = None,
    remove: List[str] = [],
    path: Optional[str] = None,
    status: Optional[int] = None,
) -> filters.BodyVerdict:
    """The message whose body is known goes on, with another body if there is one, and with changes."""
    changes = _changes(headers, remove, path, None, None, status)
    return filters.BodyVerdict_Proceed(filters.Changes(changes, body))


def answer(
    status: int, *, reason: str = "", headers: Optional[Headers] = None, body: bytes = b""
) -> filters.BodyVerdict:
    """As `respond`, when the body is known."""
    return filters.BodyVerdict_Respond(_reply(status, reason, headers, body))
