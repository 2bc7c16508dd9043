// SPDX-License-Identifier: Apache-2.0 OR MIT
// Osier plugins in C: texts, JSON, and the configuration. One more header for each kind of question: check.h, quota.h, filter.h and so on.
//
// What the host hands over is freed for you when your function returns; copy what you keep. What you hand back is the host's: give it texts made by
// osier_text, osier_textf or osier_copy, never literals.

#ifndef OSIER_H
#define OSIER_H

// Made of wit/plugin.wit by `osier plugin build`: the types of what this plugin imports and exports.
#include "plugin.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

// A text: not terminated by a zero.
typedef plugin_string_t osier_string;

// A copy of a text.
osier_string osier_text(const char *text);
osier_string osier_copy(osier_string text);
// As printf writes it.
osier_string osier_textf(const char *format, ...) __attribute__((format(printf, 1, 2)));
// Frees a text that was not handed to the host.
void osier_free(osier_string text);
// True if a text is this one; if it begins so; if both are the same.
bool osier_is(osier_string text, const char *other);
bool osier_begins(osier_string text, const char *start);
bool osier_same(osier_string one, osier_string other);
// For printf's "%.*s".
#define OSIER_PRINT(text) (int)(text).len, (const char *)(text).ptr

// JSON. Functions that look into a value take NULL for one that is not there.
enum osier_json_kind { OSIER_JSON_NULL, OSIER_JSON_BOOL, OSIER_JSON_NUMBER, OSIER_JSON_TEXT, OSIER_JSON_ARRAY, OSIER_JSON_OBJECT };

typedef struct osier_json {
  enum osier_json_kind kind;
  // Of a field, its name.
  osier_string name;
  osier_string text;
  double number;
  bool truth;
  // Of an array or an object: its first entry. Each entry knows the one behind it.
  struct osier_json *first, *next;
} osier_json;

// NULL if the text is not JSON, or nested more than 64 deep.
osier_json *osier_json_parse(const void *text, size_t length);
void osier_json_free(osier_json *json);
// The field of an object; NULL if there is none.
const osier_json *osier_json_get(const osier_json *object, const char *name);
// The first entry of an array or object: `for (const osier_json *one = osier_json_first(list); one; one = one->next)`.
const osier_json *osier_json_first(const osier_json *list);
// A text, empty if it is none; a number, or what is said otherwise.
osier_string osier_json_text(const osier_json *json);
double osier_json_number(const osier_json *json, double otherwise);

// A text as JSON has it, with quotes.
osier_string osier_json_quoted(osier_string text);

// Exports the configuration: `const char *read(const osier_json *config)` is called before any question, and keeps what it wants of `config`, which
// stays. It gives back NULL, or why the Plugin object is refused.
#define OSIER_CONFIGURATION(read)                                                                     \
  bool exports_osier_policy_configuration_configure(plugin_string_t *json, plugin_string_t *error) { \
    osier_json *config = osier_json_parse(json->ptr, json->len);                                      \
    plugin_string_free(json);                                                                         \
    const char *fault = config ? read(config) : "the configuration is not JSON";                      \
    if (fault) *error = osier_text(fault);                                                            \
    return !fault;                                                                                    \
  }

// Makes room for one more entry in a list `{T *ptr; size_t len;}` and gives its place.
#define OSIER_PUSH(list) \
  ((list)->ptr = osier_grow((list)->ptr, ((list)->len + 1) * sizeof *(list)->ptr), &(list)->ptr[(list)->len++])
void *osier_grow(void *memory, size_t size);

// The functions of the host, and whether they worked: for counters.h, http.h, log.h, metrics.h.
typedef enum { OSIER_OK, OSIER_NOT_GRANTED, OSIER_FULL, OSIER_UNAVAILABLE, OSIER_TOO_LONG, OSIER_MISMATCH, OSIER_INVALID } osier_status;

#endif
