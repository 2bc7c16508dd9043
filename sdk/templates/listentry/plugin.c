// Lets through what is on a list.

#include <osier/check.h>

static const osier_json *allowed;

static const char *configure(const osier_json *config) {
  allowed = osier_json_get(config, "allow");
  return NULL;
}
OSIER_CONFIGURATION(configure)

static osier_decision check(const exports_osier_policy_listentry_instance_t *question) {
  for (const osier_json *one = osier_json_first(allowed); one; one = one->next) {
    if (osier_same(osier_json_text(one), question->value)) return osier_allow();
  }
  return osier_deny(403, osier_text("not on the list"));
}
OSIER_LISTENTRY(check)
