//! What most kinds have in common: the states of a kind that nobody described.

/// Conditions, or a phase, that say that it is done or ready.
pub const SUCCEEDED: &str = r#"conditions.Complete == "True" || conditions.Completed == "True" ||
conditions.Succeeded == "True" || conditions.Ready == "True" || conditions.Available == "True" ||
object.status.phase in ["Succeeded", "Completed", "Complete", "Ready"]"#;

/// Conditions, or a phase, that say that it broke.
pub const FAILED: &str = r#"conditions.Failed == "True" || object.status.phase in ["Failed", "Error"]"#;

/// Conditions, or a phase, that say that it is at work.
pub const RUNNING: &str = r#"conditions.Running == "True" || object.status.phase == "Running""#;

/// The fields with which jobs are held back, by users and by Kueue, and the condition that says so.
pub const SUSPENDED: &str = r#"object.spec.suspend == true || object.spec.runPolicy.suspend == true ||
conditions.Suspended == "True""#;
