//! Metrics of the operator: read before and after an example, or asked of a Prometheus.
