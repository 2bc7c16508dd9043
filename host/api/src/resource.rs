//! [`Resource`]: what the server, its clients and its documents know about one kind.

/// One served kind: its names, scope, subresources and verbs.
#[derive(Debug)]
pub struct Resource {
    /// API group; empty for the core group.
    pub group: &'static str,
    /// Served versions, the stored one first.
    pub versions: &'static [&'static str],
    /// `Pod`.
    pub kind: &'static str,
    /// `pods`.
    pub plural: &'static str,
    /// `pod`.
    pub singular: &'static str,
    /// `po`.
    pub short_names: &'static [&'static str],
    /// Groups such as `all`, which `kubectl get all` lists.
    pub categories: &'static [&'static str],
    /// Whether objects live in namespaces.
    pub namespaced: bool,
    /// What else is served below an object.
    pub subresources: &'static [Subresource],
    /// What may be done with objects.
    pub verbs: &'static [&'static str],
    /// Name of the schema definition.
    pub schema: &'static str,
}

/// What is served below an object's own path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subresource {
    /// `/status`: writes touch the status only.
    Status,
    /// `/scale`: the replica count as an `autoscaling/v1` Scale.
    Scale,
    /// `/log`: the output of a container.
    Log,
    /// `/binding`: puts a pod on a node.
    Binding,
    /// `/finalize`: removes a namespace's own finalizers.
    Finalize,
    /// `/eviction`: asks a pod to leave.
    Eviction,
    /// `/token`: asks for a token of a service account.
    Token,
    /// `/portforward`: connections to a pod's ports.
    PortForward,
    /// `/exec`: something is run beside a container.
    Exec,
    /// `/attach`: the streams of a container.
    Attach,
    /// `/approval`: says whether a certificate is to be signed.
    Approval,
}

impl Subresource {
    /// The path segment.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Scale => "scale",
            Self::Log => "log",
            Self::Binding => "binding",
            Self::Finalize => "finalize",
            Self::Eviction => "eviction",
            Self::Token => "token",
            Self::PortForward => "portforward",
            Self::Exec => "exec",
            Self::Attach => "attach",
            Self::Approval => "approval",
        }
    }

    /// The subresource of a path segment.
    pub fn from_segment(segment: &str) -> Option<Self> {
        const ALL: [Subresource; 11] = [
            Subresource::Status,
            Subresource::Scale,
            Subresource::Log,
            Subresource::Binding,
            Subresource::Finalize,
            Subresource::Eviction,
            Subresource::Token,
            Subresource::PortForward,
            Subresource::Exec,
            Subresource::Attach,
            Subresource::Approval,
        ];
        ALL.into_iter()
            .find(|subresource| subresource.as_str() == segment)
    }
}

impl Resource {
    /// The version in which objects are stored.
    pub fn storage_version(&self) -> &'static str {
        self.versions.first().copied().unwrap_or("v1")
    }

    /// `v1`, or `group/version`.
    pub fn api_version(&self, version: &str) -> String {
        if self.group.is_empty() {
            version.to_owned()
        } else {
            format!("{}/{version}", self.group)
        }
    }

    /// `apiVersion` of stored objects.
    pub fn storage_api_version(&self) -> String {
        self.api_version(self.storage_version())
    }

    /// `pods`, or `virtualservices.networking.istio.io`: how messages name the resource.
    pub fn qualified(&self) -> String {
        qualified(self.plural, self.group)
    }

    /// `Pod`, or `VirtualService.networking.istio.io`: how messages name the kind.
    pub fn qualified_kind(&self) -> String {
        qualified(self.kind, self.group)
    }

    /// Kind of a list of these objects.
    pub fn list_kind(&self) -> String {
        format!("{}List", self.kind)
    }

    /// Whether `version` is served.
    pub fn serves(&self, version: &str) -> bool {
        self.versions.contains(&version)
    }

    /// Name of the schema definition of `version`; versions differ in their fields for one kind only.
    pub fn schema_of(&self, version: &str) -> &'static str {
        match (self.group, self.plural, version) {
            ("autoscaling", "horizontalpodautoscalers", "v1") => {
                "io.k8s.api.autoscaling.v1.HorizontalPodAutoscaler"
            }
            _ => self.schema,
        }
    }

    /// Whether the subresource is served.
    pub fn has(&self, subresource: Subresource) -> bool {
        self.subresources.contains(&subresource)
    }

    /// Whether objects are answers to questions, made where they are created and never stored.
    pub fn is_review(&self) -> bool {
        self.verbs == ["create"]
    }

    /// Whether objects are kept in the store. Reviews are answered where they are created, metrics where they are read.
    pub fn is_stored(&self) -> bool {
        !self.is_review() && self.verbs.contains(&"create")
    }

    /// Whether who deletes an object at once is shown it: kinds of upstream's `ReturnDeletedObject`, and none of others.
    pub fn is_shown_deleted(&self) -> bool {
        const CORE: &str = "persistentvolumeclaims persistentvolumes pods podtemplates resourcequotas serviceaccounts services";
        match self.group {
            "" => CORE.split(' ').any(|plural| plural == self.plural),
            group => group == "storage.k8s.io" && self.plural == "storageclasses",
        }
    }

    /// Whether strategic merge patch is served: upstream's own kinds have it, custom resources answer 415.
    pub fn strategic(&self) -> bool {
        self.schema.starts_with("io.k8s.api.")
            || self.schema.starts_with("io.k8s.apiextensions-apiserver.")
    }
}

impl PartialEq for Resource {
    fn eq(&self, other: &Self) -> bool {
        self.group == other.group && self.plural == other.plural
    }
}

impl Eq for Resource {}

impl std::hash::Hash for Resource {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.group.hash(state);
        self.plural.hash(state);
    }
}

fn qualified(name: &str, group: &str) -> String {
    if group.is_empty() {
        name.to_owned()
    } else {
        format!("{name}.{group}")
    }
}
