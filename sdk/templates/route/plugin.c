// A header names the subset that a request goes to, and a cookie remembers it.

#include <osier/headers.h>

#include <osier/extension.h>

static char header[256];

static const char *configure(const osier_json *config) {
  osier_string name = osier_json_text(osier_json_get(config, "header"));
  if (name.len >= sizeof header) return "header: is too long";
  memcpy(header, name.ptr, name.len);
  return NULL;
}
OSIER_CONFIGURATION(configure)

static bool choose(const exports_osier_extension_route_request_t *request, osier_headers headers,
                   const exports_osier_extension_route_list_candidate_t *candidates, exports_osier_extension_route_choice_t *choice) {
  (void)request;
  const osier_string *wanted = osier_header_get(headers, header);
  for (size_t i = 0; wanted && i < candidates->len; i++) {
    if (!osier_same(candidates->ptr[i].subset, *wanted)) continue;
    choice->candidate = (uint32_t)i;
    *OSIER_PUSH(&choice->response_headers) = osier_set("set-cookie", osier_textf("variant=%.*s", OSIER_PRINT(*wanted)));
    return true;
  }
  return false;
}
OSIER_ROUTE(choose)
