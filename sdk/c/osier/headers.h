// SPDX-License-Identifier: Apache-2.0 OR MIT
// Headers of messages, and changes to them. Names are in lower case.

#ifndef OSIER_HEADERS_H
#define OSIER_HEADERS_H

#include "osier.h"

typedef osier_policy_types_header_t osier_header;
typedef osier_policy_types_header_operation_t osier_header_operation;

// A header with a value that it takes over.
static inline osier_header osier_header_of(const char *name, osier_string value) {
  return (osier_header){osier_text(name), value};
}

// Replaces every value of a header, adds a value, removes every value.
static inline osier_header_operation osier_set(const char *name, osier_string value) {
  return (osier_header_operation){.tag = OSIER_POLICY_TYPES_HEADER_OPERATION_SET, .val.set = osier_header_of(name, value)};
}
static inline osier_header_operation osier_append(const char *name, osier_string value) {
  return (osier_header_operation){.tag = OSIER_POLICY_TYPES_HEADER_OPERATION_APPEND, .val.append = osier_header_of(name, value)};
}
static inline osier_header_operation osier_remove(const char *name) {
  return (osier_header_operation){.tag = OSIER_POLICY_TYPES_HEADER_OPERATION_REMOVE, .val.remove = osier_text(name)};
}

// Headers that a function is given. They are the host's.
typedef struct {
  const osier_header *ptr;
  size_t len;
} osier_headers;

#define OSIER_HEADERS(list) ((osier_headers){(const osier_header *)(list)->ptr, (list)->len})

// The first value of a header; NULL if there is none.
static inline const osier_string *osier_header_get(osier_headers headers, const char *name) {
  for (size_t i = 0; i < headers.len; i++) {
    if (osier_is(headers.ptr[i].name, name)) return &headers.ptr[i].value;
  }
  return NULL;
}

#endif
