// SPDX-License-Identifier: Apache-2.0 OR MIT
// JSON (RFC 8259) into a tree.

#include "osier.h"

#define DEEPEST 64

typedef struct {
  const char *at, *end;
  int depth;
} reader;

static bool value(reader *in, osier_json *to);

static void space(reader *in) {
  while (in->at < in->end && (*in->at == ' ' || *in->at == '\t' || *in->at == '\n' || *in->at == '\r')) in->at++;
}

static bool next_is(reader *in, char wanted) {
  if (in->at == in->end || *in->at != wanted) return false;
  in->at++;
  return true;
}

static bool word(reader *in, const char *wanted) {
  size_t length = strlen(wanted);
  if ((size_t)(in->end - in->at) < length || memcmp(in->at, wanted, length)) return false;
  in->at += length;
  return true;
}

static bool digits(reader *in) {
  const char *from = in->at;
  while (in->at < in->end && *in->at >= '0' && *in->at <= '9') in->at++;
  return in->at > from;
}

static bool number(reader *in, osier_json *to) {
  const char *from = in->at;
  next_is(in, '-');
  if (!next_is(in, '0') && !digits(in)) return false;
  if (next_is(in, '.') && !digits(in)) return false;
  if (next_is(in, 'e') || next_is(in, 'E')) {
    if (!next_is(in, '+')) next_is(in, '-');
    if (!digits(in)) return false;
  }
  char text[64];
  size_t length = (size_t)(in->at - from);
  if (length >= sizeof text) return false;
  memcpy(text, from, length);
  text[length] = 0;
  to->kind = OSIER_JSON_NUMBER;
  to->number = strtod(text, NULL);
  return true;
}

static bool hex(reader *in, unsigned *code) {
  *code = 0;
  for (int i = 0; i < 4; i++) {
    if (in->at == in->end) return false;
    char c = *in->at++;
    unsigned digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : 16;
    if (digit == 16) return false;
    *code = *code * 16 + digit;
  }
  return true;
}

// A code point behind `\u`, two escapes if it lies beyond the first 65,536, in UTF-8.
static bool escaped(reader *in, uint8_t **to) {
  unsigned code, low;
  if (!hex(in, &code) || (code >= 0xdc00 && code < 0xe000)) return false;
  if (code >= 0xd800 && code < 0xdc00) {
    if (!word(in, "\\u") || !hex(in, &low) || low < 0xdc00 || low >= 0xe000) return false;
    code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
  }
  if (code < 0x80) {
    *(*to)++ = (uint8_t)code;
    return true;
  }
  int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
  *(*to)++ = (uint8_t)((0xf00 >> more) | (code >> (6 * more)));
  while (more--) *(*to)++ = (uint8_t)(0x80 | ((code >> (6 * more)) & 0x3f));
  return true;
}

static bool character(reader *in, uint8_t **to) {
  static const char plain[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
  if ((uint8_t)*in->at < 0x20) return false;
  if (*in->at != '\\') {
    *(*to)++ = (uint8_t)*in->at++;
    return true;
  }
  if (++in->at == in->end) return false;
  if (next_is(in, 'u')) return escaped(in, to);
  const char *found = *in->at ? strchr(plain, *in->at++) : NULL;
  if (!found) return false;
  *(*to)++ = (uint8_t)meant[found - plain];
  return true;
}

static bool text(reader *in, osier_string *to) {
  if (!next_is(in, '"')) return false;
  const char *end = in->at;
  while (end < in->end && *end != '"') end += *end == '\\' ? 2 : 1;
  if (end >= in->end) return false;
  // What escapes stand for is never longer than they are.
  uint8_t *room = osier_grow(NULL, (size_t)(end - in->at) + 1), *at = room;
  to->ptr = room;
  while (in->at < end) {
    if (!character(in, &at)) {
      to->len = 1;
      return false;
    }
  }
  to->len = (size_t)(at - room);
  if (!to->len) free(room);
  return next_is(in, '"');
}

static bool entries(reader *in, osier_json *to, bool named) {
  char close = named ? '}' : ']';
  osier_json **last = &to->first;
  in->at++;
  to->kind = named ? OSIER_JSON_OBJECT : OSIER_JSON_ARRAY;
  space(in);
  if (next_is(in, close)) return true;
  do {
    osier_json *entry = *last = osier_grow(NULL, sizeof *entry);
    memset(entry, 0, sizeof *entry);
    last = &entry->next;
    space(in);
    if (named) {
      if (!text(in, &entry->name)) return false;
      space(in);
      if (!next_is(in, ':')) return false;
    }
    if (!value(in, entry)) return false;
    space(in);
  } while (next_is(in, ','));
  return next_is(in, close);
}

static bool value(reader *in, osier_json *to) {
  space(in);
  if (in->at == in->end) return false;
  switch (*in->at) {
    case '{':
    case '[': {
      if (in->depth == DEEPEST) return false;
      in->depth++;
      bool good = entries(in, to, *in->at == '{');
      in->depth--;
      return good;
    }
    case '"':
      to->kind = OSIER_JSON_TEXT;
      return text(in, &to->text);
    case 'n':
      return word(in, "null");
    case 't':
    case 'f':
      to->kind = OSIER_JSON_BOOL;
      to->truth = *in->at == 't';
      return word(in, to->truth ? "true" : "false");
    default:
      return number(in, to);
  }
}

osier_json *osier_json_parse(const void *bytes, size_t length) {
  reader in = {bytes, (const char *)bytes + length, 0};
  osier_json *json = osier_grow(NULL, sizeof *json);
  memset(json, 0, sizeof *json);
  if (value(&in, json)) {
    space(&in);
    if (in.at == in.end) return json;
  }
  osier_json_free(json);
  return NULL;
}

void osier_json_free(osier_json *json) {
  while (json) {
    osier_json *next = json->next;
    osier_json_free(json->first);
    osier_free(json->name);
    osier_free(json->text);
    free(json);
    json = next;
  }
}

const osier_json *osier_json_get(const osier_json *object, const char *name) {
  if (!object || object->kind != OSIER_JSON_OBJECT) return NULL;
  for (const osier_json *field = object->first; field; field = field->next) {
    if (osier_is(field->name, name)) return field;
  }
  return NULL;
}

const osier_json *osier_json_first(const osier_json *list) { return list ? list->first : NULL; }

osier_string osier_json_text(const osier_json *json) {
  return json && json->kind == OSIER_JSON_TEXT ? json->text : (osier_string){(uint8_t *)1, 0};
}

double osier_json_number(const osier_json *json, double otherwise) {
  return json && json->kind == OSIER_JSON_NUMBER ? json->number : otherwise;
}

osier_string osier_json_quoted(osier_string text) {
  static const char digits[] = "0123456789abcdef";
  osier_string quoted = {osier_grow(NULL, text.len * 6 + 2), 0};
  quoted.ptr[quoted.len++] = '"';
  for (size_t i = 0; i < text.len; i++) {
    uint8_t c = text.ptr[i];
    if (c < 0x20) {
      uint8_t escape[] = {'\\', 'u', '0', '0', (uint8_t)digits[c >> 4], (uint8_t)digits[c & 15]};
      memcpy(quoted.ptr + quoted.len, escape, sizeof escape);
      quoted.len += sizeof escape;
      continue;
    }
    if (c == '"' || c == '\\') quoted.ptr[quoted.len++] = '\\';
    quoted.ptr[quoted.len++] = c;
  }
  quoted.ptr[quoted.len++] = '"';
  return quoted;
}
