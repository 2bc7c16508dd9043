"""Lets through the holders of known keys."""

from osier_plugin import allow, configuration, deny

consumers: dict = {}


def configure(config):
    consumers.update(config["keys"])


Configuration = configuration(configure)


class Apikey:
    def check(self, instance):
        consumer = consumers.get(instance.api_key)
        if consumer is not None:
            return allow(request_headers={"x-consumer": consumer})
        return deny(401, reason="unknown key" if instance.api_key else "no key")
