#!/usr/bin/env python3
"""Extracts the schemas of the core kinds that Osier serves from Kubernetes' published JSON schema definitions.

Usage: extract.py _definitions.json > core.json                     (see README.md)
       extract.py _definitions.json SET > SET.json                  (access, admission, cluster, definitions, networking, versions, workloads: less what core.json has)
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
API = "io.k8s.api."
SETS = {
    "access": [API + "rbac.v1." + kind + suffix for kind in ("Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding")
               for suffix in ("", "List")] + [
        API + "certificates.v1.CertificateSigningRequest" + suffix for suffix in ("", "List")] + [
        API + name for name in (
            "authorization.v1.SelfSubjectAccessReview", "authorization.v1.SubjectAccessReview",
            "authorization.v1.LocalSubjectAccessReview", "authorization.v1.SelfSubjectRulesReview",
            "authentication.v1.TokenReview", "authentication.v1.TokenRequest", "authentication.v1.SelfSubjectReview")],
    "admission": [API + "admissionregistration.v1." + kind + suffix for suffix in ("", "List") for kind in (
        "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding", "ValidatingWebhookConfiguration",
        "MutatingWebhookConfiguration")],
    "cluster": [API + kind + suffix for suffix in ("", "List") for kind in (
        "core.v1.LimitRange", "core.v1.ResourceQuota", "core.v1.PodTemplate", "core.v1.PersistentVolume",
        "core.v1.PersistentVolumeClaim", "networking.v1.NetworkPolicy", "scheduling.v1.PriorityClass",
        "storage.v1.StorageClass", "core.v1.ComponentStatus")],
    "definitions": ["io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition" + suffix
                    for suffix in ("", "List")],
    "networking": [API + "networking.v1." + kind for kind in ("Ingress", "IngressList", "IngressClass", "IngressClassList")],
    "workloads": [API + kind + suffix for suffix in ("", "List") for kind in (
        "apps.v1.Deployment", "apps.v1.ReplicaSet", "apps.v1.StatefulSet", "apps.v1.DaemonSet", "apps.v1.ControllerRevision",
        "batch.v1.Job", "batch.v1.CronJob", "discovery.v1.EndpointSlice", "policy.v1.PodDisruptionBudget",
        "autoscaling.v2.HorizontalPodAutoscaler")],
    "versions": [API + kind + suffix for suffix in ("", "List") for kind in (
        "events.v1.Event", "autoscaling.v1.HorizontalPodAutoscaler")]}
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
    # The schema of schemas has a field of this name.
    if isinstance(out.get("$ref"), str):
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
    gvks = [gvk for gvk in node.get("x-kubernetes-group-version-kind", []) if gvk["group"] in GROUPS]
    if "x-kubernetes-group-version-kind" in node:
        node["x-kubernetes-group-version-kind"] = gvks
    return node


def references(node):
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref" and isinstance(value, str):
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
    found = closure(source, ROOTS)
    if sys.argv[2:]:
        GROUPS.update({"networking.k8s.io", "rbac.authorization.k8s.io", "authorization.k8s.io", "authentication.k8s.io",
                       "scheduling.k8s.io", "storage.k8s.io", "apps", "batch", "discovery.k8s.io", "certificates.k8s.io",
                       "apiextensions.k8s.io", "events.k8s.io", "admissionregistration.k8s.io"})
        found = {name: node for name, node in closure(source, SETS[sys.argv[2]]).items() if name not in found}
    lines = ",\n".join(json.dumps(name) + ":" + json.dumps(found[name], separators=(",", ":"), sort_keys=True)
                       for name in sorted(found))
    print("{\n" + lines + "\n}")


main()
