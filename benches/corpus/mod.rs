//! A generated corpus of manifests in the shape of Kubeflow's own examples: every kind of its six CRDs, one file each.

use std::path::Path;

/// Kind, the key of its replica specs, its replica types, its container.
const KINDS: [(&str, &str, &[&str], &str); 6] = [
    ("PyTorchJob", "pytorchReplicaSpecs", &["Master", "Worker"], "pytorch"),
    ("TFJob", "tfReplicaSpecs", &["PS", "Worker"], "tensorflow"),
    ("MPIJob", "mpiReplicaSpecs", &["Launcher", "Worker"], "mpi"),
    ("XGBoostJob", "xgbReplicaSpecs", &["Master", "Worker"], "xgboost"),
    ("PaddleJob", "paddleReplicaSpecs", &["Worker"], "paddle"),
    ("JAXJob", "jaxReplicaSpecs", &["Worker"], "jax"),
];

/// The manifest of number `index`.
pub fn manifest(index: usize) -> String {
    let (kind, specs, types, container) = KINDS[index % KINDS.len()];
    let mut text = format!(
        "# Example {index}: a {kind}.\napiVersion: kubeflow.org/v1\nkind: {kind}\nmetadata:\n  name: example-{index}\n  \
         labels:\n    app.kubernetes.io/name: example-{index}\nspec:\n  runPolicy:\n    cleanPodPolicy: None\n  {specs}:\n"
    );
    for replica in types {
        text.push_str(&format!(
            "    {replica}:
      replicas: {replicas}
      restartPolicy: OnFailure
      template:
        metadata:
          annotations:
            sidecar.istio.io/inject: \"false\"
        spec:
          containers:
            - name: {container}
              image: registry.example.com/training/{container}-mnist:2.9.{patch}
              imagePullPolicy: IfNotPresent
              command: [python3, /opt/{container}/train.py]
              args: [--epochs, \"1\", --backend, gloo, --batch-size, \"{batch}\"]
              env:
                - name: LOG_LEVEL
                  value: info
                - name: POD_NAME
                  valueFrom:
                    fieldRef: {{fieldPath: metadata.name}}
              ports:
                - {{name: job-port, containerPort: 23456}}
              resources:
                requests: {{cpu: 100m, memory: 256Mi}}
                limits: {{cpu: \"1\", memory: 1Gi}}
              volumeMounts:
                - {{name: scratch, mountPath: /scratch}}
          volumes:
            - name: scratch
              emptyDir: {{}}
",
            replicas = 1 + index % 3,
            patch = index % 10,
            batch = 32 << (index % 3),
        ));
    }
    text
}

/// Writes `count` manifests below `folder`, a hundred to a folder.
///
/// # Errors
/// The disk's.
pub fn write(folder: &Path, count: usize) -> std::io::Result<()> {
    for index in 0..count {
        let group = folder.join(format!("group-{:03}", index / 100));
        std::fs::create_dir_all(&group)?;
        std::fs::write(group.join(format!("example-{index:05}.yaml")), manifest(index))?;
    }
    Ok(())
}
