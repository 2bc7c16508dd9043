# SPDX-License-Identifier: Apache-2.0 OR MIT
"""Calls to other services, and documents that the host keeps fresh.

The world must import `osier:policy/http`; the Plugin object must grant the origin: `grants: {http: [https://limits.example]}`. A call waits for its
answer, and with it the request that the plugin is asked about. Without an answer `componentize_py_types.Err` is raised, with the host's word for why.
"""

from typing import Dict, Optional, Tuple, Union

from wit_world.imports import http
from wit_world.imports.http import Freshness, Request, Response


def send(
    url: str,
    *,
    method: str = "GET",
    headers: Optional[Dict[str, str]] = None,
    body: Union[str, bytes] = b"",
    timeout: Optional[float] = None,
) -> Response:
    """Sends a request and waits for the whole answer, for a second unless it is said, at most ten. `status`, `headers` (pairs), `body`."""
    data = body.encode() if isinstance(body, str) else body
    wait = None if timeout is None else round(timeout * 1e9)
    return http.send(Request(method, url, list((headers or {}).items()), data, wait))


def newer_than(known: int, url: str, *, refresh: float, ttl: float = 0) -> Optional[Tuple[int, bytes]]:
    """The revision and the bytes of a document, if that is another revision than the one known. The host fetches it again after `refresh` seconds, and
    gives it to nobody `ttl` seconds after it was fetched last (0: for ever). Only the first one who asks waits."""
    found = http.read_document(url, Freshness(round(refresh * 1e9), round(ttl * 1e9)), known)
    return None if found.body is None else (found.revision, found.body)
