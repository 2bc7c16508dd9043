// SPDX-License-Identifier: Apache-2.0 OR MIT
// Template quota: may it take so much?

#ifndef OSIER_QUOTA_H
#define OSIER_QUOTA_H

#include "headers.h"
#include "value.h"

// dimensions, amount, best_effort, deduplication_id. OSIER_KEY(request->dimensions) is a key for counters.
typedef exports_osier_policy_quota_instance_t osier_quota_request;
typedef exports_osier_policy_quota_outcome_t osier_outcome;

// The amount is granted.
static inline osier_outcome osier_granted(uint64_t amount) {
  return (osier_outcome){.tag = EXPORTS_OSIER_POLICY_QUOTA_OUTCOME_GRANTED, .val.granted.amount = amount};
}

// What was granted beyond what was wanted is handed out by the host so long, to calls with the same dimensions and without asking.
static inline void osier_grant_valid_for(osier_outcome *granted, int64_t milliseconds) {
  granted->val.granted.valid_for.is_some = true;
  granted->val.granted.valid_for.val.nanoseconds = milliseconds * 1000000;
}

// Nothing is granted: the caller gets 429. The reason is for logs; it is taken over.
static inline osier_outcome osier_refused(osier_string reason) {
  return (osier_outcome){.tag = EXPORTS_OSIER_POLICY_QUOTA_OUTCOME_REFUSED, .val.refused.reason = reason};
}

// When asking again may succeed.
static inline void osier_retry_after(osier_outcome *refused, uint64_t nanoseconds) {
  refused->val.refused.retry_after.is_some = true;
  refused->val.refused.retry_after.val.nanoseconds = (int64_t)nanoseconds;
}

// Sets a header of the response; the value is taken over.
static inline void osier_quota_header(osier_outcome *outcome, const char *name, osier_string value) {
  if (outcome->tag == EXPORTS_OSIER_POLICY_QUOTA_OUTCOME_GRANTED) {
    *OSIER_PUSH(&outcome->val.granted.response_headers) = osier_set(name, value);
  } else {
    *OSIER_PUSH(&outcome->val.refused.headers) = osier_header_of(name, value);
  }
}

// `osier_outcome allocate(const osier_quota_request *request)`.
#define OSIER_QUOTA(allocate)                                                                     \
  void exports_osier_policy_quota_allocate(osier_quota_request *request, osier_outcome *outcome) { \
    *outcome = allocate(request);                                                                 \
    exports_osier_policy_quota_instance_free(request);                                            \
  }

#endif
