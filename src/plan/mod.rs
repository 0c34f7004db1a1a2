//! The plan: which examples run in which tier on which Kubernetes version, which don't, and why. All pure.
