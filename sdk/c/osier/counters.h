// SPDX-License-Identifier: Apache-2.0 OR MIT
// Counters of the host, which outlive an instance. The world must import osier:policy/counters, and the Plugin object must grant the bucket:
// `grants: {keyvalue: [BUCKET]}`.

#ifndef OSIER_COUNTERS_H
#define OSIER_COUNTERS_H

#include "osier.h"

// capacity, refill, and the interval in nanoseconds.
typedef osier_policy_counters_terms_t osier_terms;
// amount, remaining, and retry_after in nanoseconds.
typedef osier_policy_counters_taken_t osier_taken;

static inline osier_status osier_counted(bool good, osier_policy_counters_error_t error) {
  static const osier_status meant[] = {OSIER_NOT_GRANTED, OSIER_FULL, OSIER_UNAVAILABLE};
  return good ? OSIER_OK : meant[error];
}

// Takes tokens from a bucket that starts full.
static inline osier_status osier_take(const char *bucket, osier_string key, uint64_t amount, osier_terms terms, bool best_effort,
                                      osier_taken *taken) {
  plugin_string_t name = {(uint8_t *)bucket, strlen(bucket)};
  osier_policy_counters_error_t error = 0;
  bool good = osier_policy_counters_take(&name, &key, amount, &terms, best_effort, taken, &error);
  return osier_counted(good, error);
}

// Adds to a counter and gives the new value. A new one lives for so many nanoseconds from its first increment; 0: an hour from its last.
static inline osier_status osier_increment(const char *bucket, osier_string key, int64_t delta, uint64_t ttl, int64_t *value) {
  plugin_string_t name = {(uint8_t *)bucket, strlen(bucket)};
  osier_policy_counters_error_t error = 0;
  bool good = osier_policy_counters_increment(&name, &key, delta, ttl ? &ttl : NULL, value, &error);
  return osier_counted(good, error);
}

#endif
