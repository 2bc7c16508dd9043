// Required claims: template authorization.

#include <osier/check.h>

#include "settings.h"

static osier_decision check(const exports_osier_policy_authorization_instance_t *question) {
  const osier_value *claims = OSIER_PROPERTY(question->subject.properties, "claims");
  const osier_json *wanted = osier_json_get(settings, "claims");
  for (const osier_json *one = osier_json_first(wanted); one; one = one->next) {
    const osier_string *found = osier_text_of(claims, one->name);
    if (!found || !osier_same(*found, osier_json_text(one))) {
      return osier_deny(403, osier_textf("claim %.*s must be %.*s", OSIER_PRINT(one->name), OSIER_PRINT(osier_json_text(one))));
    }
  }
  osier_decision allowed = osier_allow();
  osier_request_header(&allowed, "x-user", osier_copy(question->subject.user));
  osier_response_header(&allowed, "x-tier", osier_copy(osier_json_text(osier_json_get(wanted, "tier"))));
  osier_valid_for(&allowed, 1000);
  return allowed;
}
OSIER_AUTHORIZATION(check)
