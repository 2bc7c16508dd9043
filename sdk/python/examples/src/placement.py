"""The hooks route, balance, admit and schedule, one plugin each."""

from osier_plugin.admit import Operation, admitted, object_of, patched, rejected
from osier_plugin.filter import get
from osier_plugin.route import chosen
from osier_plugin.schedule import infeasible, score
from settings import settings


class Route:
    """A header names the subset, and a cookie remembers it."""

    def choose(self, request, headers, candidates):
        wanted = get(headers, "x-variant")
        for place, candidate in enumerate(candidates):
            if wanted and candidate.subset == wanted:
                return chosen(place, {"set-cookie": f"variant={wanted}"})
        return None


class Balance:
    """The endpoint that works on the fewest requests."""

    def pick(self, request, headers, endpoints):
        if not endpoints:
            return None
        return min(range(len(endpoints)), key=lambda place: endpoints[place].in_flight)


class Admit:
    """Objects have an owner; who writes is it where none is named."""

    def judge(self, review):
        if review.operation == Operation.DELETE:
            return admitted()
        labels = object_of(review).get("metadata", {}).get("labels") or {}
        if labels.get("owner") in settings["reserved"]:
            return rejected(f"{labels['owner']} owns nothing", "metadata.labels.owner")
        if labels and "owner" not in labels:
            return patched([{"op": "add", "path": "/metadata/labels/owner", "value": review.user}])
        return admitted()


class Schedule:
    """Where the fewest pods are, and never two of a kind."""

    def score(self, pod, candidates):
        return [
            infeasible("there is one of its kind") if node.siblings else score(max(0, 100 - node.pods))
            for node in candidates
        ]
