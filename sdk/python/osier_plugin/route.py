# SPDX-License-Identifier: Apache-2.0 OR MIT
"""The hook `route`: a class `Route` with `choose(request, headers, candidates)`. The world exports `osier:extension/route`."""

from typing import Optional

from wit_world.exports.route import Choice

from . import Headers, set_all


def chosen(place: int, response_headers: Optional[Headers] = None) -> Choice:
    """The destination at this place in the list; None instead leaves the choice to the weights."""
    return Choice(place, set_all(response_headers))
