// SPDX-License-Identifier: Apache-2.0 OR MIT
// Calls to other services, and documents that the host keeps fresh. The world must import osier:policy/http, and the Plugin object must grant the
// origin: `grants: {http: [https://limits.example]}`. A call waits for its answer, and with it the request that the plugin is asked about.

#ifndef OSIER_HTTP_H
#define OSIER_HTTP_H

#include "osier.h"

// method, url, headers, body, and the timeout in nanoseconds (not is_some: a second; at most ten).
typedef osier_policy_http_request_t osier_request;
// status, headers and body; osier_policy_http_response_free frees them.
typedef osier_policy_http_response_t osier_response;

static inline osier_status osier_called(bool good, osier_policy_http_error_t error) {
  static const osier_status meant[] = {OSIER_NOT_GRANTED, OSIER_INVALID, OSIER_UNAVAILABLE, OSIER_UNAVAILABLE, OSIER_TOO_LONG};
  return good ? OSIER_OK : meant[error];
}

// Sends a request, which stays the caller's, and waits for the whole answer.
static inline osier_status osier_send(osier_request *request, osier_response *response) {
  osier_policy_http_error_t error = 0;
  bool good = osier_policy_http_send(request, response, &error);
  return osier_called(good, error);
}

// The bytes of a document, if its revision is another than *revision, which is set to it; else body->ptr is NULL. The host fetches it again after
// `refresh` nanoseconds and gives it to nobody `ttl` after it was fetched last (0: for ever). Only the first one who asks waits.
static inline osier_status osier_newer_than(const char *url, uint64_t refresh, uint64_t ttl, uint64_t *revision, plugin_list_u8_t *body) {
  plugin_string_t place = {(uint8_t *)url, strlen(url)};
  osier_policy_http_freshness_t freshness = {refresh, ttl};
  osier_policy_http_document_t found = {0};
  osier_policy_http_error_t error = 0;
  bool good = osier_policy_http_read_document(&place, &freshness, *revision, &found, &error);
  *body = (plugin_list_u8_t){0};
  if (good && found.body.is_some) {
    *revision = found.revision;
    *body = found.body.val;
  }
  return osier_called(good, error);
}

#endif
