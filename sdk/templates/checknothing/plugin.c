// Answers in place of a service that is being repaired.

#include <osier/check.h>

static osier_string message;

static const char *configure(const osier_json *config) {
  message = osier_json_text(osier_json_get(config, "message"));
  return NULL;
}
OSIER_CONFIGURATION(configure)

static osier_decision check(void) {
  osier_decision denied = osier_deny(503, osier_text("maintenance"));
  osier_response_header(&denied, "retry-after", osier_text("60"));
  osier_body(&denied, osier_copy(message));
  return denied;
}
OSIER_CHECKNOTHING(check)
