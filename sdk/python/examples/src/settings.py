"""What the Plugin object says; config.schema.json has been checked by the host."""

settings: dict = {"allow": [], "limit": 100, "claims": {}, "required": [], "reserved": []}
