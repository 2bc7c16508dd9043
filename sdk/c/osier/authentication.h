// SPDX-License-Identifier: Apache-2.0 OR MIT
// Template authentication: who is behind this call?

#ifndef OSIER_AUTHENTICATION_H
#define OSIER_AUTHENTICATION_H

#include "check.h"

// Its tags are EXPORTS_OSIER_POLICY_AUTHENTICATION_DECISION_*.
typedef exports_osier_policy_authentication_decision_t osier_authenticated;

// Nobody is known to be behind the call, which passes.
static inline osier_authenticated osier_nobody(void) { return (osier_authenticated){0}; }

// The caller is `ISSUER/SUBJECT`; fill in more at `.val.allow_with`.
static inline osier_authenticated osier_somebody(osier_string principal) {
  return (osier_authenticated){
      .tag = EXPORTS_OSIER_POLICY_AUTHENTICATION_DECISION_ALLOW_WITH, .val.allow_with.output.principal = principal};
}

// The call does not pass.
static inline osier_authenticated osier_refuse(osier_decision denied) {
  return (osier_authenticated){.tag = EXPORTS_OSIER_POLICY_AUTHENTICATION_DECISION_DENY, .val.deny = denied.val.deny};
}

// `osier_authenticated answer(osier_string credential)`.
#define OSIER_AUTHENTICATION(answer)                                                                              \
  void exports_osier_policy_authentication_check(exports_osier_policy_authentication_instance_t *instance,       \
                                                 osier_authenticated *decision) {                                 \
    *decision = answer(instance->credential);                                                                     \
    exports_osier_policy_authentication_instance_free(instance);                                                  \
  }

#endif
