// SPDX-License-Identifier: Apache-2.0 OR MIT
// Lines in logs of the node. The world must import osier:policy/log, and the Plugin object must grant the stream: `grants: {logs: [STREAM]}`.

#ifndef OSIER_LOG_H
#define OSIER_LOG_H

#include "osier.h"

// Writes one line, of at most 16 KiB. It does not wait for a disk.
static inline osier_status osier_log(const char *stream, osier_string line) {
  static const osier_status meant[] = {OSIER_NOT_GRANTED, OSIER_TOO_LONG, OSIER_UNAVAILABLE};
  plugin_string_t name = {(uint8_t *)stream, strlen(stream)};
  osier_policy_log_error_t error = 0;
  return osier_policy_log_write(&name, &line, &error) ? OSIER_OK : meant[error];
}

#endif
