// The example plugins of every SDK, in one component.

#include "settings.h"

const osier_json *settings;

static const char *configure(const osier_json *config) {
  settings = config;
  return NULL;
}
OSIER_CONFIGURATION(configure)
