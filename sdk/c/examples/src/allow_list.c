// A header allow-list: template listentry.

#include <osier/check.h>

#include "settings.h"

static osier_decision check(const exports_osier_policy_listentry_instance_t *question) {
  const osier_json *allowed = osier_json_get(settings, "allow");
  for (const osier_json *one = osier_json_first(allowed); one; one = one->next) {
    if (osier_same(osier_json_text(one), question->value)) return osier_allow();
  }
  osier_decision denied = osier_deny(403, osier_text("not on the list"));
  osier_body(&denied, osier_text("You are not on the list.\n"));
  osier_response_header(&denied, "x-denied-by", osier_text("allow-list"));
  return denied;
}
OSIER_LISTENTRY(check)
