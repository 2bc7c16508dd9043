// Sends each request to the endpoint that works on the fewest.

#include <osier/headers.h>

#include <osier/extension.h>

static const char *configure(const osier_json *config) {
  (void)config;
  return NULL;
}
OSIER_CONFIGURATION(configure)

static bool pick(const exports_osier_extension_balance_request_t *request, osier_headers headers,
                 const exports_osier_extension_balance_list_endpoint_t *endpoints, uint32_t *place) {
  (void)request, (void)headers;
  *place = 0;
  for (size_t i = 1; i < endpoints->len; i++) {
    if (endpoints->ptr[i].in_flight < endpoints->ptr[*place].in_flight) *place = (uint32_t)i;
  }
  return endpoints->len > 0;
}
OSIER_BALANCE(pick)
