//! What controllers, the scheduler, kubelets and operators do, played on a [`Store`](super::store::Store).

pub mod play;
pub mod shell;
