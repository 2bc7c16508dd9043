// Lets through the holders of known keys.

#include <osier/check.h>

static const osier_json *consumers;

static const char *configure(const osier_json *config) {
  consumers = osier_json_get(config, "keys");
  return NULL;
}
OSIER_CONFIGURATION(configure)

static osier_decision check(const exports_osier_policy_apikey_instance_t *question) {
  for (const osier_json *one = osier_json_first(consumers); one; one = one->next) {
    if (osier_same(one->name, question->api_key)) {
      osier_decision allowed = osier_allow();
      osier_request_header(&allowed, "x-consumer", osier_copy(osier_json_text(one)));
      return allowed;
    }
  }
  return osier_deny(401, osier_text(question->api_key.len ? "unknown key" : "no key"));
}
OSIER_APIKEY(check)
