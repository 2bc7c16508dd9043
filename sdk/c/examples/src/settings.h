// What the Plugin object says; config.schema.json has been checked by the host.

#include <osier/osier.h>

extern const osier_json *settings;
