// SPDX-License-Identifier: Apache-2.0 OR MIT
// Template kubernetes, an attribute generator: what else is known of the two ends of a call?

#ifndef OSIER_KUBERNETES_H
#define OSIER_KUBERNETES_H

#include "osier.h"

// source_uid, source_ip, destination_uid, destination_ip, destination_port.
typedef exports_osier_policy_kubernetes_instance_t osier_ends;
// output, valid_for. What is not said is absent: begin with `osier_generated answer = {0}`.
typedef exports_osier_policy_kubernetes_generated_t osier_generated;

// Adds a label to `answer.output.source_labels` or `.destination_labels`; both texts are taken over.
static inline void osier_label(plugin_list_tuple2_string_string_t *labels, osier_string name, osier_string value) {
  *OSIER_PUSH(labels) = (plugin_tuple2_string_string_t){name, value};
}

// Lets the host repeat the answer for the same ends so long.
static inline void osier_generated_for(osier_generated *answer, int64_t milliseconds) {
  answer->valid_for.is_some = true;
  answer->valid_for.val.nanoseconds = milliseconds * 1000000;
}

// `const char *generate(const osier_ends *ends, osier_generated *answer)`: NULL, or why there is no answer.
#define OSIER_KUBERNETES(generate)                                                                                       \
  bool exports_osier_policy_kubernetes_generate(osier_ends *ends, osier_generated *answer, plugin_string_t *error) {     \
    *answer = (osier_generated){0};                                                                                      \
    const char *fault = generate(ends, answer);                                                                          \
    exports_osier_policy_kubernetes_instance_free(ends);                                                                 \
    if (fault) *error = osier_text(fault);                                                                               \
    return !fault;                                                                                                       \
  }

#endif
