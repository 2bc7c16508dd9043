#!/usr/bin/env python3
"""Extracts the schemas of the kinds that Osier serves from Kubernetes' published JSON schema definitions.

Usage: extract.py _definitions.json SET > SET.json, where SET is core, networking or workloads; the last two leave out
what core.json has (see README.md).
"""
import json
import sys

CORE = "io.k8s.api.core.v1."
META = "io.k8s.apimachinery.pkg.apis.meta.v1."
KINDS = ["Pod", "ReplicationController", "Service", "Endpoints", "ConfigMap", "Secret", "Namespace", "Node", "Event",
         "ServiceAccount"]
ROOTS = [CORE + kind + suffix for kind in KINDS for suffix in ("", "List")] + [
    CORE + "Binding", "io.k8s.api.coordination.v1.Lease", "io.k8s.api.coordination.v1.LeaseList",
    "io.k8s.api.autoscaling.v1.Scale", "io.k8s.api.policy.v1.Eviction", META + "DeleteOptions", META + "Status"]
NETWORKING = ["io.k8s.api.networking.v1." + kind for kind in ("Ingress", "IngressList", "IngressClass", "IngressClassList")]
WORKLOADS = {"apps.v1": ["Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "ControllerRevision"],
             "batch.v1": ["Job", "CronJob"], "discovery.v1": ["EndpointSlice"], "policy.v1": ["PodDisruptionBudget"],
             "autoscaling.v2": ["HorizontalPodAutoscaler"]}
WORKLOAD_ROOTS = ["io.k8s.api." + group + "." + kind + suffix
                  for group, kinds in WORKLOADS.items() for kind in kinds for suffix in ("", "List")]
# Kinds that stand in every group would drag in one GVK per group; only these matter here.
GROUPS = {"", "v1", "coordination.k8s.io", "autoscaling", "policy"}
SCALARS = {"io.k8s.apimachinery.pkg.util.intstr.IntOrString": "int-or-string",
           "io.k8s.apimachinery.pkg.api.resource.Quantity": "quantity"}
# Upstream's documents have these defaults, the package lost them. Server-side apply needs them: they are list keys.
DEFAULTS = {(CORE + "ContainerPort", "protocol"): "TCP", (CORE + "ServicePort", "protocol"): "TCP"}


def plain(node):
    """OpenAPI v3 as an API server publishes it: no null types, no constants, references that keep their siblings."""
    if isinstance(node, list):
        return [plain(item) for item in node]
    if not isinstance(node, dict):
        return node
    out = {key: plain(value) for key, value in node.items()}
    if isinstance(out.get("type"), list):
        out["type"] = next(kind for kind in out["type"] if kind != "null")
    if "$ref" in out:
        ref = {"$ref": "#/components/schemas/" + out.pop("$ref").rsplit("/", 1)[1]}
        out = {"allOf": [ref], **out} if out else ref
    return out


def definition(name, node):
    node = plain(node)
    if name in SCALARS:
        kept = {"description": node["description"]} if "description" in node else {}
        return {**kept, "type": "string", "format": SCALARS[name]}
    for (owner, field), value in DEFAULTS.items():
        if owner == name:
            node["properties"][field]["default"] = value
    for field in ("apiVersion", "kind"):
        node.get("properties", {}).get(field, {}).pop("enum", None)
    gvks = [gvk for gvk in node.get("x-kubernetes-group-version-kind", []) if gvk["group"] in GROUPS or not name.startswith(META)]
    if "x-kubernetes-group-version-kind" in node:
        node["x-kubernetes-group-version-kind"] = gvks
    return node


def references(node):
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref":
                yield value.rsplit("/", 1)[1]
            else:
                yield from references(value)
    elif isinstance(node, list):
        for item in node:
            yield from references(item)


def closure(source, roots):
    found, todo = {}, list(roots)
    while todo:
        name = todo.pop()
        if name not in found:
            found[name] = definition(name, source[name])
            todo.extend(references(source[name]))
    return found


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        source = json.load(file)
    source = source.get("$defs") or source["definitions"]
    core = closure(source, ROOTS)
    others = {"networking": NETWORKING, "workloads": WORKLOAD_ROOTS}.get(sys.argv[2], [])
    found = {name: node for name, node in closure(source, others).items() if name not in core} or core
    lines = ",\n".join(json.dumps(name) + ":" + json.dumps(found[name], separators=(",", ":"), sort_keys=True)
                       for name in sorted(found))
    print("{\n" + lines + "\n}")


main()
