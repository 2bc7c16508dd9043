// SPDX-License-Identifier: Apache-2.0 OR MIT
// Lines in logs of the node. The world must import `osier:policy/log`, and the Plugin object must grant the stream: `grants: {logs: [STREAM]}`.

// @ts-ignore: the host provides this module.
import * as host from "osier:policy/log@0.1.0";

/** Writes one line, of at most 16 KiB; throws if the stream is not granted or the line is too long. It does not wait for a disk. */
export function write(stream: string, line: string): void {
  host.write(stream, line);
}
