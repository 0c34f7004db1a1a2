//! Objects in protobuf, which `kubectl create` sends.
//!
//! A body is the four bytes `k8s\0` and a `runtime.Unknown` (apiVersion and kind, then the object's own message). Read are
//! the fields that `kubectl create` can set; a field beyond those is refused by its number, never lost.
//! Source: `generated.proto` of `k8s.io/api` and `k8s.io/apimachinery` v1.36; <https://protobuf.dev/programming-guides/encoding>.

use k8s_openapi::ByteString;
use serde_json::{Map, Value as Json, json};

use crate::simulator::store::Status;

/// The media type.
pub const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

/// The messages: of each field its number, name and type. `int?` keeps a zero (it is a pointer in Go), `[x]` repeats, `-`
/// is the server's own and not read.
const MESSAGES: &[(&str, &str)] = &[
    ("Unknown", "1 typeMeta TypeMeta, 2 raw bytes, 3 contentEncoding string, 4 contentType string"),
    ("TypeMeta", "1 apiVersion string, 2 kind string"),
    (
        "ObjectMeta",
        "1 name string, 2 generateName string, 3 namespace string, 4 selfLink -, 5 uid -, 6 resourceVersion -, 7 generation -, \
         8 creationTimestamp -, 9 deletionTimestamp -, 10 deletionGracePeriodSeconds -, 11 labels map, 12 annotations map, \
         13 ownerReferences [OwnerReference], 14 finalizers [string], 17 managedFields -",
    ),
    (
        "OwnerReference",
        "1 kind string, 3 name string, 4 uid string, 5 apiVersion string, 6 controller bool, 7 blockOwnerDeletion bool",
    ),
    ("Namespace", "1 metadata ObjectMeta, 2 spec -, 3 status -"),
    ("ConfigMap", "1 metadata ObjectMeta, 2 data map, 3 binaryData bytes-map, 4 immutable bool"),
    ("Secret", "1 metadata ObjectMeta, 2 data bytes-map, 3 type string, 4 stringData map, 5 immutable bool"),
    (
        "ServiceAccount",
        "1 metadata ObjectMeta, 3 imagePullSecrets [LocalObjectReference], 4 automountServiceAccountToken bool",
    ),
    ("LocalObjectReference", "1 name string"),
    ("ResourceQuota", "1 metadata ObjectMeta, 2 spec ResourceQuotaSpec, 3 status -"),
    ("ResourceQuotaSpec", "1 hard quantity-map, 2 scopes [string]"),
    ("Service", "1 metadata ObjectMeta, 2 spec ServiceSpec, 3 status -"),
    (
        "ServiceSpec",
        "1 ports [ServicePort], 2 selector map, 3 clusterIP string, 4 type string, 5 externalIPs [string], 7 sessionAffinity string, \
         8 loadBalancerIP string, 9 loadBalancerSourceRanges [string], 10 externalName string, 11 externalTrafficPolicy string, \
         12 healthCheckNodePort int, 13 publishNotReadyAddresses bool, 18 clusterIPs [string]",
    ),
    (
        "ServicePort",
        "1 name string, 2 protocol string, 3 port int, 4 targetPort int-or-string, 5 nodePort int, 6 appProtocol string",
    ),
    ("Job", "1 metadata ObjectMeta, 2 spec JobSpec, 3 status -"),
    (
        "JobSpec",
        "1 parallelism int?, 2 completions int?, 3 activeDeadlineSeconds int?, 5 manualSelector bool, 6 template PodTemplateSpec, \
         7 backoffLimit int?, 8 ttlSecondsAfterFinished int?, 9 completionMode string, 10 suspend bool, 14 podReplacementPolicy string",
    ),
    ("CronJob", "1 metadata ObjectMeta, 2 spec CronJobSpec, 3 status -"),
    (
        "CronJobSpec",
        "1 schedule string, 2 startingDeadlineSeconds int?, 3 concurrencyPolicy string, 4 suspend bool, 5 jobTemplate JobTemplateSpec, \
         6 successfulJobsHistoryLimit int?, 7 failedJobsHistoryLimit int?, 8 timeZone string",
    ),
    ("JobTemplateSpec", "1 metadata ObjectMeta, 2 spec JobSpec"),
    ("Deployment", "1 metadata ObjectMeta, 2 spec DeploymentSpec, 3 status -"),
    (
        "DeploymentSpec",
        "1 replicas int?, 2 selector LabelSelector, 3 template PodTemplateSpec, 4 strategy DeploymentStrategy, 5 minReadySeconds int, \
         6 revisionHistoryLimit int?, 7 paused bool, 9 progressDeadlineSeconds int?",
    ),
    ("DeploymentStrategy", "1 type string"),
    ("LabelSelector", "1 matchLabels map"),
    ("PodTemplateSpec", "1 metadata ObjectMeta, 2 spec PodSpec"),
    (
        "PodSpec",
        "2 containers [Container], 3 restartPolicy string, 4 terminationGracePeriodSeconds int?, 5 activeDeadlineSeconds int?, \
         6 dnsPolicy string, 7 nodeSelector map, 8 serviceAccountName string, 9 serviceAccount string, 10 nodeName string, \
         11 hostNetwork bool, 12 hostPID bool, 13 hostIPC bool, 14 securityContext Empty, 15 imagePullSecrets [LocalObjectReference], \
         16 hostname string, 17 subdomain string, 19 schedulerName string, 20 initContainers [Container], 24 priorityClassName string",
    ),
    ("Empty", ""),
    (
        "Container",
        "1 name string, 2 image string, 3 command [string], 4 args [string], 5 workingDir string, 6 ports [ContainerPort], 7 env [EnvVar], \
         8 resources ResourceRequirements, 13 terminationMessagePath string, 14 imagePullPolicy string, 16 stdin bool, \
         17 stdinOnce bool, 18 tty bool, 20 terminationMessagePolicy string",
    ),
    ("ContainerPort", "1 name string, 2 hostPort int, 3 containerPort int, 4 protocol string, 5 hostIP string"),
    ("EnvVar", "1 name string, 2 value string"),
    ("ResourceRequirements", "1 limits quantity-map, 2 requests quantity-map"),
    ("Role", "1 metadata ObjectMeta, 2 rules [PolicyRule]"),
    ("ClusterRole", "1 metadata ObjectMeta, 2 rules [PolicyRule]"),
    ("RoleBinding", "1 metadata ObjectMeta, 2 subjects [Subject], 3 roleRef RoleRef"),
    ("ClusterRoleBinding", "1 metadata ObjectMeta, 2 subjects [Subject], 3 roleRef RoleRef"),
    (
        "PolicyRule",
        "1 verbs [string], 2 apiGroups [string], 3 resources [string], 4 resourceNames [string], 5 nonResourceURLs [string]",
    ),
    ("Subject", "1 kind string, 2 apiGroup string, 3 name string, 4 namespace string"),
    ("RoleRef", "1 apiGroup string, 2 kind string, 3 name string"),
    (
        "PriorityClass",
        "1 metadata ObjectMeta, 2 value int?, 3 globalDefault bool, 4 description string, 5 preemptionPolicy string",
    ),
    ("TokenRequest", "1 metadata ObjectMeta, 2 spec -, 3 status -"),
    ("SelfSubjectAccessReview", "1 metadata ObjectMeta, 2 spec -, 3 status -"),
    ("SelfSubjectRulesReview", "1 metadata ObjectMeta, 2 spec -, 3 status -"),
    ("SelfSubjectReview", "1 metadata ObjectMeta, 2 status -"),
    (
        "DeleteOptions",
        "1 gracePeriodSeconds int?, 3 orphanDependents bool, 4 propagationPolicy string, 5 dryRun [string]",
    ),
    ("MapEntry", "1 key string, 2 value string"),
    ("BytesEntry", "1 key string, 2 value bytes"),
    ("QuantityEntry", "1 key string, 2 value Quantity"),
    ("Quantity", "1 string string"),
    ("IntOrString", "1 type int, 2 intVal int, 3 strVal string"),
];

/// Reads an object.
///
/// # Errors
/// 400 for what is broken, 415 for a kind or field that is not read here.
pub fn object(body: &[u8]) -> Result<Json, Status> {
    let body = body.strip_prefix(b"k8s\0").ok_or_else(|| broken("Unknown"))?;
    let envelope = message("Unknown", body)?;
    let kind = envelope["typeMeta"]["kind"].as_str().unwrap_or_default();
    let raw: ByteString = serde_json::from_value(envelope["raw"].clone()).unwrap_or_default();
    let mut object = json!({"apiVersion": envelope["typeMeta"]["apiVersion"], "kind": kind});
    if let (Some(fields), Json::Object(read)) = (object.as_object_mut(), message(kind, &raw.0)?) {
        fields.extend(read);
    }
    Ok(object)
}

fn broken(name: &str) -> Status {
    Status::bad_request(format!("the protobuf message {name} is broken"))
}

/// One field as it is on the wire.
enum Wire<'b> {
    Number(u64),
    Bytes(&'b [u8]),
}

/// The number of the next field and its value; `None` if the bytes end within.
fn next<'b>(bytes: &mut &'b [u8]) -> Option<(u64, Wire<'b>)> {
    let tag = varint(bytes)?;
    let value = match tag & 7 {
        0 => Wire::Number(varint(bytes)?),
        2 => {
            let length = usize::try_from(varint(bytes)?).ok()?;
            let (value, rest) = bytes.split_at_checked(length)?;
            *bytes = rest;
            Wire::Bytes(value)
        }
        _ => return None,
    };
    Some((tag >> 3, value))
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// The name and type of a field.
fn field(name: &str, number: u64) -> Option<(&'static str, &'static str)> {
    let (_, fields) = MESSAGES.iter().find(|(message, _)| *message == name)?;
    fields.split(", ").find_map(|field| {
        let (own, rest) = field.split_once(' ')?;
        if own.parse() == Ok(number) { rest.split_once(' ') } else { None }
    })
}

fn message(name: &str, mut bytes: &[u8]) -> Result<Json, Status> {
    let unread = |what: String| {
        let message = format!(
            "the simulator does not read {what} in protobuf: send it as JSON, as with `kubectl create --dry-run=client -o yaml | kubectl apply -f -`"
        );
        Status::new(415, "UnsupportedMediaType", message)
    };
    if !MESSAGES.iter().any(|(message, _)| *message == name) {
        return Err(unread(format!("the kind {name}")));
    }
    let mut fields = Map::new();
    while !bytes.is_empty() {
        let (number, wire) = next(&mut bytes).ok_or_else(|| broken(name))?;
        let (field, kind) = field(name, number).ok_or_else(|| unread(format!("field {number} of {name}")))?;
        add(&mut fields, field, kind, &wire).ok_or_else(|| broken(name))??;
    }
    Ok(Json::Object(fields))
}

/// Adds a field's value to those that were read; `None` if the wire has something else than its type.
fn add(fields: &mut Map<String, Json>, name: &str, kind: &str, wire: &Wire<'_>) -> Option<Result<(), Status>> {
    let value: Json = match (kind, wire) {
        ("-", _) | ("int" | "bool", Wire::Number(0)) | ("string", Wire::Bytes([])) => return Some(Ok(())),
        // Negative numbers are sign-extended to 64 bits.
        ("int" | "int?", Wire::Number(number)) => number.cast_signed().into(),
        ("bool", Wire::Number(_)) => true.into(),
        ("string", Wire::Bytes(bytes)) => std::str::from_utf8(bytes).ok()?.into(),
        ("bytes", Wire::Bytes(bytes)) => serde_json::to_value(ByteString(bytes.to_vec())).ok()?,
        (_, Wire::Bytes(bytes)) => return Some(add_message(fields, name, kind, bytes)),
        _ => return None,
    };
    fields.insert(name.to_owned(), value);
    Some(Ok(()))
}

fn add_message(fields: &mut Map<String, Json>, name: &str, kind: &str, bytes: &[u8]) -> Result<(), Status> {
    let entry = match kind {
        "map" => Some("MapEntry"),
        "bytes-map" => Some("BytesEntry"),
        "quantity-map" => Some("QuantityEntry"),
        _ => None,
    };
    if let Some(entry) = entry {
        let read = message(entry, bytes)?;
        let value = match entry {
            "QuantityEntry" => read["value"]["string"].clone(),
            _ => read.get("value").cloned().unwrap_or_else(|| "".into()),
        };
        let map = fields.entry(name).or_insert_with(|| json!({}));
        map[read["key"].as_str().unwrap_or_default()] = value;
        return Ok(());
    }
    if kind == "int-or-string" {
        let read = message("IntOrString", bytes)?;
        let value =
            if read["type"] == 1 { read["strVal"].clone() } else { read["intVal"].as_i64().unwrap_or(0).into() };
        fields.insert(name.to_owned(), value);
        return Ok(());
    }
    let Some(item) = kind.strip_prefix('[').and_then(|kind| kind.strip_suffix(']')) else {
        fields.insert(name.to_owned(), message(kind, bytes)?);
        return Ok(());
    };
    let item = if item == "string" { String::from_utf8_lossy(bytes).into() } else { message(item, bytes)? };
    match fields.entry(name).or_insert_with(|| json!([])) {
        Json::Array(list) => list.push(item),
        _ => return Err(broken(name)),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes(number: u8, content: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, u8::try_from(content.len()).unwrap()], content].concat()
    }

    fn sent(kind: &str, content: &[u8]) -> Vec<u8> {
        let meta = [bytes(1, b"v1"), bytes(2, kind.as_bytes())].concat();
        [b"k8s\0".to_vec(), bytes(1, &meta), bytes(2, content), bytes(3, b""), bytes(4, b"")].concat()
    }

    #[test]
    fn an_object_is_read_field_by_field() {
        let label = [bytes(1, b"a"), bytes(2, b"b")].concat();
        let metadata = [bytes(1, b"c"), bytes(2, b""), bytes(11, &label)].concat();
        let secret =
            [bytes(1, &metadata), bytes(2, &[bytes(1, b"k"), bytes(2, b"v")].concat()), vec![5 << 3, 1]].concat();
        assert_eq!(
            object(&sent("Secret", &secret)).unwrap(),
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "c", "labels": {"a": "b"}}, "data": {"k": "dg=="}, "immutable": true})
        );
    }

    #[test]
    fn what_is_not_read_is_refused_by_its_number() {
        let refused = object(&sent("ConfigMap", &bytes(9, b"x"))).unwrap_err();
        assert_eq!(refused.code, 415);
        assert!(refused.message.contains("field 9 of ConfigMap"), "{refused}");
        assert!(object(&sent("Ingress", b"")).unwrap_err().message.contains("the kind Ingress"));
    }

    #[test]
    fn every_type_of_the_table_is_known() {
        for (_, fields) in MESSAGES {
            for field in fields.split(", ").filter(|field| !field.is_empty()) {
                let kind = field.split(' ').nth(2).unwrap().trim_matches(['[', ']']);
                let plain = [
                    "-",
                    "string",
                    "bytes",
                    "bool",
                    "int",
                    "int?",
                    "map",
                    "bytes-map",
                    "quantity-map",
                    "int-or-string",
                ];
                assert!(plain.contains(&kind) || MESSAGES.iter().any(|(name, _)| *name == kind), "{field}");
            }
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(content in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = object(&content);
            let _ = object(&sent("Job", &content));
        }
    }
}
