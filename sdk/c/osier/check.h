// SPDX-License-Identifier: Apache-2.0 OR MIT
// Templates that are answered with a decision: listentry, authorization, apikey, checknothing.

#ifndef OSIER_CHECK_H
#define OSIER_CHECK_H

#include "headers.h"
#include "value.h"

typedef osier_policy_types_decision_t osier_decision;

// The call passes.
static inline osier_decision osier_allow(void) { return (osier_decision){.tag = OSIER_POLICY_TYPES_DECISION_ALLOW}; }

// The call is answered with this status, 300 to 599. The reason is for logs; it is taken over.
static inline osier_decision osier_deny(uint16_t status, osier_string reason) {
  return (osier_decision){.tag = OSIER_POLICY_TYPES_DECISION_DENY, .val.deny = {.status = status, .reason = reason}};
}

static inline osier_policy_types_approval_t *osier_approval(osier_decision *decision) {
  decision->tag = OSIER_POLICY_TYPES_DECISION_ALLOW_WITH;
  return &decision->val.allow_with;
}

// What the caller of a denied call reads; it is taken over.
static inline void osier_body(osier_decision *denied, osier_string body) { denied->val.deny.body = body; }

// Sets a header of the response, or of the denial; the value is taken over.
static inline void osier_response_header(osier_decision *decision, const char *name, osier_string value) {
  if (decision->tag == OSIER_POLICY_TYPES_DECISION_DENY) {
    *OSIER_PUSH(&decision->val.deny.headers) = osier_header_of(name, value);
  } else {
    *OSIER_PUSH(&osier_approval(decision)->response_headers) = osier_set(name, value);
  }
}

// Sets a header of the request of an allowed call before it goes on; the value is taken over.
static inline void osier_request_header(osier_decision *allowed, const char *name, osier_string value) {
  *OSIER_PUSH(&osier_approval(allowed)->request_headers) = osier_set(name, value);
}

// Lets the host repeat the answer for the same question so long.
static inline void osier_valid_for(osier_decision *decision, int64_t milliseconds) {
  osier_policy_types_option_duration_t span = {true, {milliseconds * 1000000}};
  if (decision->tag == OSIER_POLICY_TYPES_DECISION_DENY) {
    decision->val.deny.valid_for = span;
  } else {
    osier_approval(decision)->valid_for = span;
  }
}

#define OSIER_ANSWERS(template, answer)                                                                             \
  void exports_osier_policy_##template##_check(exports_osier_policy_##template##_instance_t *instance, osier_decision *decision) { \
    *decision = answer(instance);                                                                                   \
    exports_osier_policy_##template##_instance_free(instance);                                                      \
  }

// `osier_decision answer(const exports_osier_policy_listentry_instance_t *question)`, and likewise.
#define OSIER_LISTENTRY(answer) OSIER_ANSWERS(listentry, answer)
#define OSIER_AUTHORIZATION(answer) OSIER_ANSWERS(authorization, answer)
#define OSIER_APIKEY(answer) OSIER_ANSWERS(apikey, answer)
// `osier_decision answer(void)`.
#define OSIER_CHECKNOTHING(answer) \
  void exports_osier_policy_checknothing_check(osier_decision *decision) { *decision = answer(); }

#endif
