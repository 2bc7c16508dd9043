# SPDX-License-Identifier: Apache-2.0 OR MIT
"""Answers of template `authentication`: who is behind a call. The world must export `osier:policy/authentication`."""

from typing import Any, Dict, Optional

from wit_world.exports.authentication import (
    Decision,
    Decision_Allow,
    Decision_AllowWith,
    Decision_Deny,
    Identity,
    Output,
)

from . import Headers, set_all, span


def nobody() -> Decision:
    """The call passes, and nobody is known to be behind it."""
    return Decision_Allow()


def somebody(
    principal: str,
    *,
    audiences: Optional[str] = None,
    presenter: Optional[str] = None,
    claims: Optional[Dict[str, str]] = None,
    request_headers: Optional[Headers] = None,
    valid_for: Optional[float] = None,
) -> Decision:
    """The call passes, and this is who is behind it: `ISSUER/SUBJECT`. `valid_for` is in seconds."""
    output = Output(principal, audiences, presenter, list((claims or {}).items()))
    return Decision_AllowWith(Identity(output, set_all(request_headers), [], span(valid_for), None))


def refused(denial: Any) -> Decision:
    """The call does not pass: `refused(deny(401))`."""
    return Decision_Deny(denial.value)
