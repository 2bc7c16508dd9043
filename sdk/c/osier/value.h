// SPDX-License-Identifier: Apache-2.0 OR MIT
// Attribute values whose type the policy's author chose, and lists of them by name.

#ifndef OSIER_VALUE_H
#define OSIER_VALUE_H

#include "osier.h"

// See OSIER_POLICY_TYPES_VALUE_* for its tags.
typedef osier_policy_types_value_t osier_value;

typedef struct {
  osier_string name;
  osier_value value;
} osier_property;

// The value of a name in a list of properties (`dimensions`, `properties`, `variables`); NULL if there is none.
#define OSIER_PROPERTY(list, wanted) osier_property_of((const osier_property *)(list).ptr, (list).len, (wanted))

static inline const osier_value *osier_property_of(const osier_property *all, size_t count, const char *name) {
  for (size_t i = 0; i < count; i++) {
    if (osier_is(all[i].name, name)) return &all[i].value;
  }
  return NULL;
}

// The text of a name in a map of texts; NULL if there is none, or the value is no such map.
static inline const osier_string *osier_text_of(const osier_value *texts, osier_string name) {
  if (!texts || texts->tag != OSIER_POLICY_TYPES_VALUE_TEXTS) return NULL;
  for (size_t i = 0; i < texts->val.texts.len; i++) {
    if (osier_same(texts->val.texts.ptr[i].f0, name)) return &texts->val.texts.ptr[i].f1;
  }
  return NULL;
}

// A value as text, as logs and labels have it; empty if it is absent.
static inline osier_string osier_value_text(const osier_value *value) {
  switch (value ? value->tag : OSIER_POLICY_TYPES_VALUE_ABSENT) {
    case OSIER_POLICY_TYPES_VALUE_TEXT:
      return osier_copy(value->val.text);
    case OSIER_POLICY_TYPES_VALUE_INTEGER:
      return osier_textf("%lld", (long long)value->val.integer);
    case OSIER_POLICY_TYPES_VALUE_NUMBER:
      return osier_textf("%.17g", value->val.number);
    case OSIER_POLICY_TYPES_VALUE_BOOLEAN:
      return osier_text(value->val.boolean ? "true" : "false");
    case OSIER_POLICY_TYPES_VALUE_TIME:
      return osier_textf("%lld.%09u", (long long)value->val.time.seconds, (unsigned)value->val.time.nanoseconds);
    case OSIER_POLICY_TYPES_VALUE_SPAN:
      return osier_textf("%lldns", (long long)value->val.span.nanoseconds);
    default:
      return osier_text("");
  }
}

// A text that is the same for equal lists of properties and for no others: a key for counters.
#define OSIER_KEY(list) osier_key_of((const osier_property *)(list).ptr, (list).len)

static inline void osier_key_part(osier_string *key, osier_string part) {
  osier_string longer = osier_textf("%.*s%zu:%.*s", OSIER_PRINT(*key), part.len, OSIER_PRINT(part));
  osier_free(*key);
  *key = longer;
}

static inline osier_string osier_key_of(const osier_property *all, size_t count) {
  osier_string key = osier_text("");
  for (size_t i = 0; i < count; i++) {
    const osier_value *value = &all[i].value;
    osier_string text = osier_textf("%d", value->tag);
    osier_key_part(&key, all[i].name);
    osier_key_part(&key, text);
    osier_free(text);
    if (value->tag == OSIER_POLICY_TYPES_VALUE_TEXTS) {
      for (size_t j = 0; j < value->val.texts.len; j++) {
        osier_key_part(&key, value->val.texts.ptr[j].f0);
        osier_key_part(&key, value->val.texts.ptr[j].f1);
      }
    } else {
      text = osier_value_text(value);
      osier_key_part(&key, text);
      osier_free(text);
    }
  }
  return key;
}

#endif
