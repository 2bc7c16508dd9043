"""Lets through what is on a list."""

from osier_plugin import allow, configuration, deny

allowed: set = set()


def configure(config):
    allowed.update(config["allow"])


Configuration = configuration(configure)


class Listentry:
    def check(self, instance):
        return allow() if instance.value in allowed else deny(403, reason="not on the list")
