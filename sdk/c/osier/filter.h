// SPDX-License-Identifier: Apache-2.0 OR MIT
// The hook filter: around a request. The world exports osier:filter/request, /response, /trailers, as many as the plugin wants.

#ifndef OSIER_FILTER_H
#define OSIER_FILTER_H

#include "headers.h"

// id, inbound, source, service, method, scheme, authority, path.
typedef osier_filter_types_exchange_t osier_exchange;
typedef osier_filter_types_head_verdict_t osier_head_verdict;
typedef osier_filter_types_body_verdict_t osier_body_verdict;
typedef osier_filter_types_response_t osier_reply;
typedef plugin_list_u8_t osier_bytes;

// The message goes on; its body streams by untouched.
static inline osier_head_verdict osier_proceed(void) {
  return (osier_head_verdict){.tag = OSIER_FILTER_TYPES_HEAD_VERDICT_PROCEED};
}
// It goes on if its body, of at most so many bytes, is fit.
static inline osier_head_verdict osier_need_body(uint64_t limit) {
  return (osier_head_verdict){.tag = OSIER_FILTER_TYPES_HEAD_VERDICT_NEED_BODY, .val.need_body = limit};
}
// This is sent to the caller instead.
static inline osier_head_verdict osier_respond(osier_reply reply) {
  return (osier_head_verdict){.tag = OSIER_FILTER_TYPES_HEAD_VERDICT_RESPOND, .val.respond = reply};
}

// The message goes on with the same body.
static inline osier_body_verdict osier_pass(void) {
  return (osier_body_verdict){.tag = OSIER_FILTER_TYPES_BODY_VERDICT_PROCEED};
}
// It goes on with another body, which is taken over.
static inline osier_body_verdict osier_replace(osier_bytes body) {
  return (osier_body_verdict){.tag = OSIER_FILTER_TYPES_BODY_VERDICT_PROCEED, .val.proceed.body = {true, body}};
}
// This is sent to the caller instead.
static inline osier_body_verdict osier_answer(osier_reply reply) {
  return (osier_body_verdict){.tag = OSIER_FILTER_TYPES_BODY_VERDICT_RESPOND, .val.respond = reply};
}

// An answer with this status, 200 to 599; reason, for logs, and body are taken over.
static inline osier_reply osier_reply_of(uint16_t status, osier_string reason, osier_string body) {
  return (osier_reply){.status = status, .reason = reason, .body = {body.ptr, body.len}};
}
static inline void osier_reply_header(osier_reply *reply, const char *name, osier_string value) {
  *OSIER_PUSH(&reply->headers) = osier_header_of(name, value);
}

// A change to the message that goes on.
static inline void osier_change(osier_filter_types_list_operation_t *changes, osier_header_operation operation) {
  *OSIER_PUSH(changes) = (osier_filter_types_operation_t){.tag = OSIER_FILTER_TYPES_OPERATION_HEADER, .val.header = operation};
}
#define OSIER_CHANGE_HEAD(verdict, operation) osier_change(&(verdict)->val.proceed, (operation))
#define OSIER_CHANGE(verdict, operation) osier_change(&(verdict)->val.proceed.operations, (operation))
// The path with query of a request whose head goes on; it is taken over.
static inline void osier_change_path(osier_head_verdict *verdict, osier_string path) {
  *OSIER_PUSH(&verdict->val.proceed) = (osier_filter_types_operation_t){.tag = OSIER_FILTER_TYPES_OPERATION_PATH, .val.path = path};
}
// The status of a response whose head goes on.
static inline void osier_change_status(osier_head_verdict *verdict, uint16_t status) {
  *OSIER_PUSH(&verdict->val.proceed) = (osier_filter_types_operation_t){.tag = OSIER_FILTER_TYPES_OPERATION_STATUS, .val.status = status};
}

// `osier_head_verdict on_head(const osier_exchange *exchange, osier_headers headers)` and
// `osier_body_verdict on_body(const osier_exchange *exchange, osier_headers headers, osier_bytes body)`.
#define OSIER_REQUEST_FILTER(on_head, on_body)                                                                                        \
  void exports_osier_filter_request_on_request(osier_exchange *exchange, exports_osier_filter_request_list_header_t *headers,         \
                                               osier_head_verdict *verdict) {                                                         \
    *verdict = on_head(exchange, OSIER_HEADERS(headers));                                                                             \
    osier_filter_types_exchange_free(exchange);                                                                                       \
    exports_osier_filter_request_list_header_free(headers);                                                                           \
  }                                                                                                                                   \
  void exports_osier_filter_request_on_request_body(osier_exchange *exchange, exports_osier_filter_request_list_header_t *headers,    \
                                                    osier_bytes *body, osier_body_verdict *verdict) {                                 \
    *verdict = on_body(exchange, OSIER_HEADERS(headers), *body);                                                                      \
    osier_filter_types_exchange_free(exchange);                                                                                       \
    exports_osier_filter_request_list_header_free(headers);                                                                           \
    plugin_list_u8_free(body);                                                                                                        \
  }

// The same with the status: `on_head(exchange, status, headers)` and `on_body(exchange, status, headers, body)`.
#define OSIER_RESPONSE_FILTER(on_head, on_body)                                                                                       \
  void exports_osier_filter_response_on_response(osier_exchange *exchange, uint16_t status,                                           \
                                                 exports_osier_filter_response_list_header_t *headers, osier_head_verdict *verdict) { \
    *verdict = on_head(exchange, status, OSIER_HEADERS(headers));                                                                     \
    osier_filter_types_exchange_free(exchange);                                                                                       \
    exports_osier_filter_response_list_header_free(headers);                                                                          \
  }                                                                                                                                   \
  void exports_osier_filter_response_on_response_body(osier_exchange *exchange, uint16_t status,                                      \
                                                      exports_osier_filter_response_list_header_t *headers, osier_bytes *body,        \
                                                      osier_body_verdict *verdict) {                                                  \
    *verdict = on_body(exchange, status, OSIER_HEADERS(headers), *body);                                                              \
    osier_filter_types_exchange_free(exchange);                                                                                       \
    exports_osier_filter_response_list_header_free(headers);                                                                          \
    plugin_list_u8_free(body);                                                                                                        \
  }

// For filters that never ask for a body.
static inline osier_body_verdict osier_any_request_body(const osier_exchange *exchange, osier_headers headers, osier_bytes body) {
  (void)exchange, (void)headers, (void)body;
  return osier_pass();
}
static inline osier_body_verdict osier_any_response_body(const osier_exchange *exchange, uint16_t status, osier_headers headers,
                                                         osier_bytes body) {
  (void)exchange, (void)status, (void)headers, (void)body;
  return osier_pass();
}

// `void on(const osier_exchange *exchange, osier_headers trailers, osier_trailer_changes *changes)`, of requests and of responses: push changes with
// `*OSIER_PUSH(changes) = osier_set(…)`.
typedef osier_policy_types_list_header_operation_t osier_trailer_changes;
#define OSIER_TRAILER_FILTER(on_request, on_response) \
  OSIER_TRAILERS(request, on_request)                 \
  OSIER_TRAILERS(response, on_response)
#define OSIER_TRAILERS(side, on)                                                                                              \
  void exports_osier_filter_trailers_on_##side##_trailers(osier_exchange *exchange,                                           \
                                                          exports_osier_filter_trailers_list_header_t *trailers,              \
                                                          exports_osier_filter_trailers_list_header_operation_t *operations) { \
    osier_trailer_changes changes = {0};                                                                                      \
    on(exchange, OSIER_HEADERS(trailers), &changes);                                                                          \
    operations->ptr = changes.ptr;                                                                                            \
    operations->len = changes.len;                                                                                            \
    osier_filter_types_exchange_free(exchange);                                                                               \
    exports_osier_filter_trailers_list_header_free(trailers);                                                                 \
  }

#endif
