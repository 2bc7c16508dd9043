// Lets everybody read, and only admins write.

#include <osier/check.h>

static const osier_json *admins;

static const char *configure(const osier_json *config) {
  admins = osier_json_get(config, "admins");
  return NULL;
}
OSIER_CONFIGURATION(configure)

static osier_decision check(const exports_osier_policy_authorization_instance_t *question) {
  if (osier_is(question->action.method, "GET")) return osier_allow();
  for (const osier_json *one = osier_json_first(admins); one; one = one->next) {
    if (osier_same(osier_json_text(one), question->subject.user)) {
      osier_decision allowed = osier_allow();
      osier_request_header(&allowed, "x-role", osier_text("admin"));
      return allowed;
    }
  }
  osier_decision denied = osier_deny(403, osier_text("not an admin"));
  osier_body(&denied, osier_text("Admins only.\n"));
  return denied;
}
OSIER_AUTHORIZATION(check)
