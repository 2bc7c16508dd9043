//! The commands, in an order in which later ones build on earlier ones.

/// One command and what must come of it.
pub(crate) struct Step {
    pub(crate) command: &'static str,
    /// The first kubectl that has the command.
    pub(crate) since: u32,
    pub(crate) input: &'static str,
    pub(crate) says: &'static [&'static str],
    pub(crate) never: &'static [&'static str],
    pub(crate) succeeds: bool,
}

impl Step {
    /// `NS` is the namespace.
    pub(crate) fn arguments<'a>(&'a self, namespace: &'a str) -> Vec<&'a str> {
        self.command
            .split(' ')
            .map(|word| if word == "NS" { namespace } else { word })
            .collect()
    }

    pub(crate) fn input(&self, namespace: &str) -> String {
        self.input.replace("NS", namespace)
    }

    const fn with(self, input: &'static str) -> Self {
        Self { input, ..self }
    }

    const fn since(self, since: u32) -> Self {
        Self { since, ..self }
    }

    const fn never(self, never: &'static [&'static str]) -> Self {
        Self { never, ..self }
    }
}

const fn step(command: &'static str, says: &'static [&'static str]) -> Step {
    Step {
        command,
        since: 0,
        input: "",
        says,
        never: &[],
        succeeds: true,
    }
}

const fn refused(command: &'static str, says: &'static [&'static str]) -> Step {
    Step {
        succeeds: false,
        ..step(command, says)
    }
}

const ALL: &str = r#"
apiVersion: v1
kind: ConfigMap
metadata: {name: maps, labels: {tier: gold}}
data: {a: "1"}
---
apiVersion: v1
kind: Secret
metadata: {name: secrets}
data: {user: YWRtaW4=}
---
apiVersion: v1
kind: Pod
metadata: {name: pods, labels: {app: web}}
spec:
  nodeName: nowhere
  containers: [{name: web, image: hello, ports: [{containerPort: 8080}]}]
---
apiVersion: v1
kind: ReplicationController
metadata: {name: controllers}
spec:
  replicas: 2
  selector: {app: rc}
  template:
    metadata: {labels: {app: rc}}
    spec: {containers: [{name: web, image: hello}]}
---
apiVersion: v1
kind: Service
metadata: {name: services}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Endpoints
metadata: {name: services}
subsets: [{addresses: [{ip: 10.244.0.5}], ports: [{port: 8080, protocol: TCP}]}]
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: accounts}
---
apiVersion: coordination.k8s.io/v1
kind: Lease
metadata: {name: leases}
spec: {holderIdentity: somebody}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gateways}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]
---
apiVersion: networking.istio.io/v1beta1
kind: VirtualService
metadata: {name: routes}
spec:
  hosts: ["*"]
  gateways: [gateways]
  http: [{route: [{destination: {host: services}}]}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: rules}
spec: {host: services}
"#;

const CHANGED: &str = r#"
apiVersion: v1
kind: ConfigMap
metadata: {name: maps, labels: {tier: gold}}
data: {a: "2"}
"#;

const WHOLE: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: whole}
spec:
  containers: [{name: web, image: hello, ports: [{containerPort: 80}, {containerPort: 80, protocol: UDP}]}]
"#;

const READER: &str = r#"
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader, namespace: NS}
rules: [{apiGroups: [""], resources: [configmaps], verbs: [get, list, watch]}]
"#;

const BOUNDS: &str = r#"
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: closed}
spec: {podSelector: {matchLabels: {app: x}}, egress: [{ports: [{port: 53, protocol: UDP}]}]}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: claim}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: v1
kind: LimitRange
metadata: {name: small}
spec: {limits: [{type: Container, default: {cpu: 500m}, defaultRequest: {cpu: 500m}, max: {cpu: "1"}}]}
---
apiVersion: v1
kind: PodTemplate
metadata: {name: template}
template: {spec: {containers: [{name: c, image: i}]}}
"#;

const EVENT: &str = r#"
apiVersion: v1
kind: Event
metadata: {name: happened}
involvedObject: {kind: Pod, name: pods, namespace: NS}
reason: Started
message: it began
type: Normal
"#;

const UNKNOWN: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: unknown}
spec:
  containers: [{name: c, image: i, imagePolicy: Always}]
"#;

const WRONG: &str = r#"
apiVersion: v1
kind: ConfigMap
metadata: {name: Not_A_Name}
data: {}
"#;

/// A pod for `wait`.
pub(crate) const PODS: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: waiting}
spec: {containers: [{name: c, image: i}]}
"#;

pub(crate) const SCRIPT: &[Step] = &[
    step("version", &["1.33.0+osier"]).never(&["rror"]),
    step(
        "api-versions",
        &["networking.istio.io/v1beta1", "policy.osier.dev/v1alpha1"],
    ),
    step(
        "api-resources",
        &[
            "replicationcontrollers",
            "virtualservices",
            "plugins",
            "leases",
        ],
    ),
    step("cluster-info", &["is running at"]),
    step(
        "explain pod.spec.containers.image",
        &["Container image name"],
    ),
    step("explain policy.spec", &["FIELD"]),
    step(
        "apply -f -",
        &[
            "configmap/maps created",
            "virtualservice.networking.istio.io/routes created",
        ],
    )
    .with(ALL),
    step(
        "apply -f -",
        &["configmap/maps unchanged", "service/services unchanged"],
    )
    .with(ALL)
    .never(&["configured", "created"]),
    step("apply -f -", &["configmap/maps configured"]).with(CHANGED),
    refused("diff -f -", &["+  a: \"1\""]).with(ALL),
    step("get configmaps", &["NAME", "DATA", "AGE", "maps"]),
    step(
        "get all",
        &[
            "pod/pods",
            "replicationcontroller/controllers",
            "service/services",
        ],
    ),
    step(
        "get pods -o wide",
        &["READY", "RESTARTS", "NOMINATED NODE", "nowhere"],
    ),
    step("get pods -A", &["NAMESPACE", "with-1-"]),
    step("get service services", &["ClusterIP", "10.", "80/TCP"]),
    step("get namespaces", &["STATUS", "Active", "kube-system"]),
    step(
        "get pods pods -o yaml",
        &["restartPolicy: Always", "qosClass: BestEffort"],
    ),
    step(
        "get pods pods -o json",
        &["\"terminationGracePeriodSeconds\": 30"],
    ),
    step("get pods -o name", &["pod/pods"]),
    step("get pods -l app=web", &["pods"]),
    step("get pods -l app!=web -o name", &[]).never(&["pod/"]),
    step(
        "get pods --field-selector=spec.nodeName=nowhere -o name",
        &["pod/pods"],
    ),
    refused(
        "get pods --field-selector=spec.color=red",
        &["field label not supported"],
    ),
    step("get configmaps -L tier --show-labels", &["TIER", "gold"]),
    step("get services --sort-by=.metadata.name", &["services"]),
    step("get virtualservices", &["routes"]),
    step(
        "get gw,dr,leases,sa,ep,secrets",
        &[
            "gateways",
            "rules",
            "leases",
            "accounts",
            "10.244.0.5:8080",
            "Opaque",
        ],
    ),
    step("get --raw /readyz?verbose", &["store ok"]),
    step(
        "describe pod pods",
        &["Image:", "hello", "QoS Class:", "Node:"],
    ),
    step(
        "describe service services",
        &["Selector:", "app=web", "80/TCP"],
    ),
    step("describe configmap maps", &["Data"]),
    step("describe rc controllers", &["Replicas:"]),
    step("describe secret secrets", &["user:", "5 bytes"]),
    step("describe namespace NS", &["Status:", "Active"]),
    step("describe gateway gateways", &["Servers:"]),
    step("create -f -", &["event/happened created"]).with(EVENT),
    step("get events", &["LAST SEEN", "Started", "it began"]),
    step("events", &["Started"]).since(26),
    step("scale rc controllers --replicas=5", &["scaled"]),
    step(
        "get rc controllers -o jsonpath={.spec.replicas}/{.metadata.generation}",
        &["5/2"],
    ),
    step("label configmap maps color=red", &["labeled"]),
    step("label configmap maps color-", &["label"]),
    step(
        "annotate configmap maps note=here",
        &["configmap/maps annotate"],
    ),
    step("edit configmap maps", &["edited"]),
    step(
        "get configmap maps -o yaml",
        &["tier: silver", "note: here"],
    )
    .never(&["color"]),
    step(
        "patch rc controllers -p {\"spec\":{\"replicas\":3}}",
        &["patched"],
    ),
    step(
        "patch rc controllers --type=merge -p {\"spec\":{\"replicas\":4}}",
        &["patched"],
    ),
    step(
        "patch rc controllers --type=json -p [{\"op\":\"remove\",\"path\":\"/spec/replicas\"}]",
        &["patched"],
    ),
    step("get rc controllers -o jsonpath={.spec.replicas}", &["1"]),
    step("set image rc/controllers web=other", &["image updated"]),
    step(
        "create configmap more --from-literal=x=y",
        &["configmap/more created"],
    ),
    step(
        "create secret generic more --from-literal=x=y",
        &["secret/more created"],
    ),
    step(
        "create service clusterip more --tcp=80:8080",
        &["service/more created"],
    ),
    step(
        "create serviceaccount more",
        &["serviceaccount/more created"],
    ),
    step(
        "get service more -o yaml",
        &["targetPort: 8080", "app: more"],
    ),
    refused("create configmap more", &["already exists"]),
    step("run made --image=hello", &["pod/made created"]),
    step(
        "expose rc controllers --port=80 --name=exposed",
        &["service/exposed exposed"],
    ),
    step("logs pods", &["web begins, follow=false", "and ends"]),
    step(
        "logs -f pods --tail=5",
        &["web begins, follow=true", "and ends"],
    ),
    refused("logs pods -c none", &["not valid for pod"]),
    refused("create -f -", &["imagePolicy"]).with(UNKNOWN),
    refused("create -f -", &["Invalid value: \"Not_A_Name\""]).with(WRONG),
    refused(
        "get pods none",
        &["Error from server (NotFound): pods \"none\" not found"],
    ),
    refused(
        "get things",
        &["the server doesn't have a resource type \"things\""],
    ),
    step(
        "patch configmap maps --type=merge -p {\"data\":{\"a\":\"9\"}}",
        &["patched"],
    ),
    refused(
        "apply --server-side -f -",
        &["conflict with \"kubectl-patch\" using v1", ".data.a"],
    )
    .with(CHANGED),
    refused(
        "diff --server-side --force-conflicts -f -",
        &["-  a: \"9\"", "+  a: \"2\""],
    )
    .with(CHANGED),
    step(
        "apply --server-side --force-conflicts -f -",
        &["configmap/maps serverside-applied"],
    )
    .with(CHANGED),
    step("diff --server-side -f -", &[]).with(CHANGED),
    step(
        "get configmaps maps -o yaml --show-managed-fields",
        &["manager: kubectl", "operation: Apply", "f:a: {}"],
    )
    .since(21),
    step(
        "apply --server-side --field-manager=other -f -",
        &["pod/whole serverside-applied"],
    )
    .with(WHOLE),
    step("delete pod whole --grace-period=0 --force", &["deleted"]),
    step("replace -f -", &["configmap/maps replaced"]).with(CHANGED),
    step(
        "replace --force -f -",
        &["configmap \"maps\" deleted", "configmap/maps replaced"],
    )
    .with(CHANGED),
    step("auth can-i create pods", &["yes"]),
    refused("auth can-i create pods --as=ann", &["no"]),
    step("auth can-i --list", &["*.*"]),
    step("auth whoami", &["system:masters", "system:authenticated"]).since(28),
    step(
        "create role reader --verb=get,list --resource=configmaps",
        &["role.rbac.authorization.k8s.io/reader created"],
    ),
    step(
        "create rolebinding readers --role=reader --user=ann --serviceaccount=NS:accounts",
        &["rolebinding.rbac.authorization.k8s.io/readers created"],
    ),
    step(
        "get rolebindings -o wide",
        &["Role/reader", "ann", "/accounts"],
    ),
    step("get configmaps --as=ann", &["maps"]),
    refused(
        "get secrets --as=ann",
        &[
            "Error from server (Forbidden): secrets is forbidden: User \"ann\" cannot list resource \"secrets\"",
        ],
    ),
    step("auth can-i list configmaps --as=ann", &["yes"]),
    step(
        "get clusterroles view -o yaml",
        &["aggregationRule", "pods/log"],
    ),
    step(
        "describe clusterrole system:node",
        &["PolicyRule", "leases.coordination.k8s.io"],
    ),
    step(
        "auth reconcile -f -",
        &["role.rbac.authorization.k8s.io/reader"],
    )
    .with(READER),
    step("create token accounts", &["ey"]).since(24),
    refused("create token none", &["not found"]).since(24),
    step(
        "create quota few --hard=count/configmaps=100",
        &["resourcequota/few created"],
    ),
    step("get quota few", &["REQUEST", "count/configmaps: ", "/100"]),
    step("describe quota few", &["count/configmaps", "100"]),
    step("create priorityclass NS --value=5", &["created"]),
    step(
        "apply -f -",
        &[
            "nothing acts on it",
            "networkpolicy.networking.k8s.io/closed created",
        ],
    )
    .with(BOUNDS),
    step("apply -f -", &["limitrange/small unchanged"])
        .with(BOUNDS)
        .never(&["configured", "created"]),
    step(
        "get netpol,pvc,limits,podtemplates",
        &["app=x", "RWO", "small", "template"],
    ),
    step("delete pod made", &["pod \"made\" deleted"]),
    step("delete pod pods --grace-period=0 --force", &["deleted"]),
    step("wait --for=delete pod/pods --timeout=10s", &[]).since(27),
    step("delete rc controllers --cascade=background", &["deleted"]).since(20),
    step("delete configmap more", &["deleted"]),
    step("delete secrets,sa --all", &["deleted"]),
    step("get secrets", &["No resources found"]),
    refused(
        "delete namespace default",
        &["this namespace may not be deleted"],
    ),
];
