// SPDX-License-Identifier: Apache-2.0 OR MIT
// Numbers that the node shows at /metrics. The world must import osier:policy/metrics, and the Plugin object must grant the name:
// `grants: {metrics: [NAME]}`.

#ifndef OSIER_METRICS_H
#define OSIER_METRICS_H

#include "osier.h"

// name, kind (OSIER_POLICY_METRICS_KIND_*), description, labels, buckets.
typedef osier_policy_metrics_definition_t osier_family;

static inline osier_status osier_measured(bool good, osier_policy_metrics_error_t error) {
  static const osier_status meant[] = {OSIER_NOT_GRANTED, OSIER_MISMATCH, OSIER_FULL, OSIER_INVALID};
  return good ? OSIER_OK : meant[error];
}

// Defines a family. Doing so again with the same words changes nothing.
static inline osier_status osier_define(osier_family *family) {
  osier_policy_metrics_error_t error = 0;
  bool good = osier_policy_metrics_define(family, &error);
  return osier_measured(good, error);
}

// Records a value under the values of the labels, in the order of the definition.
static inline osier_status osier_record(const char *family, double value, osier_string *labels, size_t count) {
  plugin_string_t name = {(uint8_t *)family, strlen(family)};
  plugin_list_string_t all = {labels, count};
  osier_policy_metrics_error_t error = 0;
  bool good = osier_policy_metrics_record_value(&name, &all, value, &error);
  return osier_measured(good, error);
}

#endif
