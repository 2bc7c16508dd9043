"""A token bucket for each set of dimensions, kept in the host's counters."""

from osier_plugin import configuration
from osier_plugin.quota import granted, refused, take

settings: dict = {}


def configure(config):
    settings.update(config)


Configuration = configuration(configure)


class Quota:
    def allocate(self, instance):
        limit = settings["limit"]
        key = repr(instance.dimensions)
        taken = take(
            "limits", key, instance.amount, capacity=limit, refill=limit, interval=3600, best_effort=instance.best_effort
        )
        if taken.amount > 0:
            return granted(taken.amount, {"x-ratelimit-limit": str(limit)})
        return refused("the bucket is empty", retry_after_ns=taken.retry_after)
