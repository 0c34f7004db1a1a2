//! The stable codes of the basic tier. `explain CODE` documents each one, from the files in `lint/codes/`.
//!
//! `EV1xx`: an API server itself would refuse the object. `EV2xx`: pod templates and references beyond that.
//! `EV3xx`: images. `EV4xx`: Kubernetes versions. `EV5xx`: isolation and the runner.

/// Gives each code its constant, and lists them all.
macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal;)+) => {
        $($(#[$doc])* pub const $name: &str = $code;)+

        /// Every code, in order.
        pub const ALL: &[&str] = &[$($code),+];
    };
}

codes! {
    /// The text is not YAML (or JSON).
    SYNTAX = "EV101";
    /// A limit was met: file size, nesting, alias expansion.
    LIMIT = "EV102";
    /// A key is set twice.
    DUPLICATE_KEY = "EV103";
    /// Not a Kubernetes object: no `apiVersion`, no `kind`, not a mapping.
    NOT_AN_OBJECT = "EV104";
    /// A field that the schema does not know.
    UNKNOWN_FIELD = "EV105";
    /// A value of the wrong type.
    WRONG_TYPE = "EV106";
    /// A required field is missing.
    REQUIRED = "EV107";
    /// A value that is not among the allowed ones.
    NOT_ALLOWED = "EV108";
    /// A string without the required form: format, pattern, length.
    FORMAT = "EV109";
    /// A number (or a count of items) out of its range.
    RANGE = "EV110";
    /// A bad name, namespace, label or annotation.
    NAME = "EV111";
    /// A bad quantity.
    QUANTITY = "EV112";
    /// Two items where one is allowed: names, ports, keys of a list map.
    DUPLICATE = "EV113";
    /// A CEL rule of the custom resource's schema.
    CEL_RULE = "EV114";
    /// Fields that exclude each other, or a field that is not allowed here.
    FORBIDDEN = "EV115";
    /// A selector that does not match its own template.
    SELECTOR = "EV116";
    /// A reference inside the object to something that the object does not have.
    NOT_FOUND = "EV117";
    /// A version of a known group or kind that no schema serves.
    NOT_SERVED = "EV118";
    /// Any other invalid value.
    INVALID = "EV119";

    /// No schema is known for the kind: only general rules were checked.
    NO_SCHEMA = "EV201";
    /// A pod template without the container that its framework requires.
    CONTAINER_NAME = "EV202";
    /// A pod template inside a custom resource that the API server will refuse when the operator creates the pods.
    POD_TEMPLATE = "EV203";
    /// A mount without a volume, in a custom resource's pod template.
    MOUNT = "EV204";
    /// A ConfigMap that neither the example nor its `needs` bring.
    CONFIG_MAP = "EV205";
    /// A Secret that nobody brings.
    SECRET = "EV206";
    /// A PersistentVolumeClaim that nobody brings.
    CLAIM = "EV207";
    /// A ServiceAccount that nobody brings.
    SERVICE_ACCOUNT = "EV208";
    /// A PriorityClass that nobody brings.
    PRIORITY_CLASS = "EV209";
    /// A training runtime (or another referenced class) that nobody brings.
    RUNTIME = "EV210";
    /// Duplicate container names or ports in a custom resource's pod template.
    TEMPLATE_DUPLICATE = "EV211";
    /// A custom resource of a kind that no framework describes: it is not tried on a cluster.
    UNJUDGED = "EV212";

    /// A malformed image reference.
    IMAGE_REFERENCE = "EV301";
    /// An image without a tag, or with `:latest`.
    IMAGE_UNPINNED = "EV302";
    /// `imagePullPolicy: Always` (set or implied) on an image that the config builds.
    IMAGE_ALWAYS = "EV303";
    /// The registry does not have the image.
    IMAGE_ABSENT = "EV304";
    /// The registry did not answer.
    IMAGE_UNKNOWN = "EV305";

    /// An API version that a Kubernetes version of the plan no longer serves.
    API_REMOVED = "EV401";
    /// An API version that is deprecated, with the version that removes it.
    API_DEPRECATED = "EV402";
    /// An API version that a Kubernetes version of the plan does not serve yet.
    API_NOT_YET = "EV403";

    /// A hard-coded namespace; it is rewritten.
    NAMESPACE = "EV501";
    /// The same object in two examples.
    SAME_IDENTITY = "EV502";
    /// A cluster-scoped object, shared by every example of the cluster.
    CLUSTER_SCOPED = "EV503";
    /// GPUs or other extended resources that no kind node has.
    EXTENDED_RESOURCE = "EV504";
    /// Requests larger than the runner.
    TOO_LARGE = "EV505";
    /// `suspend: true`: nothing will run until somebody resumes it.
    SUSPENDED = "EV506";
    /// A template that is not filled in.
    PLACEHOLDER = "EV507";
}

#[cfg(test)]
mod tests {
    use super::ALL;

    #[test]
    fn codes_are_unique_and_in_order() {
        assert!(ALL.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
