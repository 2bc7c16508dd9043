// SPDX-License-Identifier: Apache-2.0 OR MIT

#include "osier.h"

#include <stdio.h>

void *osier_grow(void *memory, size_t size) {
  void *larger = realloc(memory, size);
  if (!larger) abort();
  return larger;
}

static osier_string copied(const void *text, size_t length) {
  osier_string copy = {length ? osier_grow(NULL, length) : (uint8_t *)1, length};
  if (length) memcpy(copy.ptr, text, length);
  return copy;
}

osier_string osier_text(const char *text) { return copied(text, strlen(text)); }

osier_string osier_copy(osier_string text) { return copied(text.ptr, text.len); }

osier_string osier_textf(const char *format, ...) {
  va_list arguments, again;
  va_start(arguments, format);
  va_copy(again, arguments);
  int length = vsnprintf(NULL, 0, format, arguments);
  va_end(arguments);
  char *text = osier_grow(NULL, (size_t)length + 1);
  vsnprintf(text, (size_t)length + 1, format, again);
  va_end(again);
  osier_string made = copied(text, (size_t)length);
  free(text);
  return made;
}

void osier_free(osier_string text) {
  if (text.len) free(text.ptr);
}

bool osier_is(osier_string text, const char *other) { return text.len == strlen(other) && !memcmp(text.ptr, other, text.len); }

bool osier_begins(osier_string text, const char *start) {
  size_t length = strlen(start);
  return text.len >= length && !memcmp(text.ptr, start, length);
}

bool osier_same(osier_string one, osier_string other) { return one.len == other.len && !memcmp(one.ptr, other.ptr, one.len); }
