# SPDX-License-Identifier: Apache-2.0 OR MIT
"""Lines in logs of the node.

The world must import `osier:policy/log`; the Plugin object must grant the stream: `grants: {logs: [STREAM]}`.
"""

from wit_world.imports import log


def write(stream: str, line: str) -> None:
    """Writes one line, of at most 16 KiB; raises if the stream is not granted or the line is too long. It does not wait for a disk."""
    log.write(stream, line)
