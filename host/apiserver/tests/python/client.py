"""What a Python program does with the API: CRUD, watch, patches, apply, reviews, tokens. Ends with a line, or an error."""
import threading

from kubernetes import client, config, dynamic, watch
from kubernetes.client.exceptions import ApiException

config.load_kube_config()
CORE = client.CoreV1Api()
SPACE = "python"


def refused(code, call, *arguments, **options):
    try:
        call(*arguments, **options)
    except ApiException as error:
        assert error.status == code, error
        return error
    raise AssertionError(f"not refused with {code}")


def objects():
    CORE.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=SPACE)))
    body = client.V1ConfigMap(metadata=client.V1ObjectMeta(name="m", labels={"app": "x"}), data={"a": "1"})
    made = CORE.create_namespaced_config_map(SPACE, body)
    assert made.metadata.uid and made.metadata.managed_fields[0].operation == "Update"
    refused(409, CORE.create_namespaced_config_map, SPACE, body)
    read = CORE.read_namespaced_config_map("m", SPACE)
    read.data["b"] = "2"
    CORE.replace_namespaced_config_map("m", SPACE, read)
    refused(409, CORE.replace_namespaced_config_map, "m", SPACE, read)
    listed = CORE.list_namespaced_config_map(SPACE, label_selector="app=x").items
    assert [item.metadata.name for item in listed] == ["m"]


def patches():
    CORE.patch_namespaced_config_map("m", SPACE, {"data": {"c": "3", "b": None}})
    assert CORE.read_namespaced_config_map("m", SPACE).data == {"a": "1", "c": "3"}
    CORE.patch_namespaced_config_map("m", SPACE, [{"op": "replace", "path": "/data/a", "value": "9"}])
    assert CORE.read_namespaced_config_map("m", SPACE).data["a"] == "9"


def watching():
    seen, ready = [], threading.Event()
    version = CORE.list_namespaced_config_map(SPACE).metadata.resource_version

    def follow():
        stream = watch.Watch()
        ready.set()
        for event in stream.stream(CORE.list_namespaced_config_map, SPACE, resource_version=version, timeout_seconds=30):
            seen.append((event["type"], event["object"].metadata.name))
            if event["type"] == "DELETED":
                stream.stop()

    thread = threading.Thread(target=follow)
    thread.start()
    ready.wait(30)
    CORE.create_namespaced_config_map(SPACE, client.V1ConfigMap(metadata=client.V1ObjectMeta(name="w")))
    CORE.patch_namespaced_config_map("w", SPACE, {"data": {"a": "1"}})
    CORE.delete_namespaced_config_map("w", SPACE)
    thread.join(40)
    assert seen == [("ADDED", "w"), ("MODIFIED", "w"), ("DELETED", "w")], seen


def apply():
    maps = dynamic.DynamicClient(client.ApiClient()).resources.get(api_version="v1", kind="ConfigMap")

    def wish(data):
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "applied"}, "data": data}

    maps.server_side_apply(body=wish({"a": "1", "b": "1"}), namespace=SPACE, field_manager="one")
    maps.server_side_apply(body=wish({"c": "1"}), namespace=SPACE, field_manager="two")
    try:
        maps.server_side_apply(body=wish({"a": "2"}), namespace=SPACE, field_manager="two")
        raise AssertionError("no conflict")
    except ApiException as error:
        assert error.status == 409 and "FieldManagerConflict" in str(error.body), error
    maps.server_side_apply(body=wish({"a": "2"}), namespace=SPACE, field_manager="two", force_conflicts=True)
    maps.server_side_apply(body=wish({}), namespace=SPACE, field_manager="one")
    assert CORE.read_namespaced_config_map("applied", SPACE).data == {"a": "2"}


def access():
    CORE.create_namespaced_service_account(SPACE, client.V1ServiceAccount(metadata=client.V1ObjectMeta(name="robot")))
    request = client.AuthenticationV1TokenRequest(spec=client.V1TokenRequestSpec(audiences=[], expiration_seconds=600))
    token = CORE.create_namespaced_service_account_token("robot", SPACE, request).status.token
    settings = client.Configuration.get_default_copy()
    settings.cert_file = settings.key_file = None
    settings.api_key = {"authorization": f"Bearer {token}"}
    robot = client.CoreV1Api(client.ApiClient(settings))
    refusal = refused(403, robot.list_namespaced_config_map, SPACE)
    assert f'User \\"system:serviceaccount:{SPACE}:robot\\"' in refusal.body, refusal.body
    subject = client.RbacV1Subject(kind="ServiceAccount", name="robot", namespace=SPACE)
    role = client.V1RoleRef(api_group="rbac.authorization.k8s.io", kind="ClusterRole", name="view")
    binding = client.V1RoleBinding(metadata=client.V1ObjectMeta(name="robots"), role_ref=role, subjects=[subject])
    client.RbacAuthorizationV1Api().create_namespaced_role_binding(SPACE, binding)
    assert robot.list_namespaced_config_map(SPACE).items
    refused(403, robot.list_namespaced_secret, SPACE)
    settings.api_key = {"authorization": f"Bearer {token}x"}
    refused(401, client.CoreV1Api(client.ApiClient(settings)).list_namespaced_config_map, SPACE)


STEPS = [objects, patches, watching, apply, access]
for step in STEPS:
    step()
print("all steps done")
