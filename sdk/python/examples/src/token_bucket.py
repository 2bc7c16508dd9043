"""A token bucket for each set of dimensions, over the host's counters: template quota."""

from osier_plugin.quota import granted, refused, take
from settings import settings


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
