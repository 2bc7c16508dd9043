// SPDX-License-Identifier: Apache-2.0 OR MIT
// Templates that are told of calls that have ended: settlement, logentry, metric, tracespan, edge, reportnothing.

#ifndef OSIER_REPORT_H
#define OSIER_REPORT_H

#include "value.h"

#define OSIER_TAKES(template, function, take)                                                                                       \
  bool exports_osier_policy_##template##_##function(exports_osier_policy_##template##_list_instance_t *batch, plugin_string_t *error) { \
    const char *fault = take(batch);                                                                                                \
    exports_osier_policy_##template##_list_instance_free(batch);                                                                    \
    if (fault) *error = osier_text(fault);                                                                                          \
    return !fault;                                                                                                                  \
  }

// `const char *take(const exports_osier_policy_logentry_list_instance_t *batch)`, and likewise: NULL, or why the batch is lost.
#define OSIER_SETTLEMENT(take) OSIER_TAKES(settlement, settle, take)
#define OSIER_LOGENTRY(take) OSIER_TAKES(logentry, report, take)
#define OSIER_METRIC(take) OSIER_TAKES(metric, report, take)
#define OSIER_TRACESPAN(take) OSIER_TAKES(tracespan, report, take)
#define OSIER_EDGE(take) OSIER_TAKES(edge, report, take)
// `const char *take(uint32_t calls)`.
#define OSIER_REPORTNOTHING(take)                                                               \
  bool exports_osier_policy_reportnothing_report(uint32_t calls, plugin_string_t *error) {     \
    const char *fault = take(calls);                                                            \
    if (fault) *error = osier_text(fault);                                                      \
    return !fault;                                                                              \
  }

#endif
