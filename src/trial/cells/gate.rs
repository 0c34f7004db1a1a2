//! What a cell waits for besides its turn: the images of ours that it uses.

use std::sync::Arc;

use tokio::sync::watch;

use crate::model::{Cause, CauseClass, Outcome};

/// Something that a cell waits for, which comes (`Ok`) or never will.
pub type Gate = watch::Receiver<Option<Result<(), Arc<Blocked>>>>;

/// Why what a cell waits for will never come, and what that makes of the cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// `failed` where a build of the project's own failed, else `errored`.
    pub outcome: Outcome,
    /// Why.
    pub cause: Cause,
}

/// Waits until all gates are open.
///
/// # Errors
/// The first that never will be.
pub(super) async fn open(mut gates: Vec<Gate>) -> Result<(), Arc<Blocked>> {
    for gate in &mut gates {
        let known = gate.wait_for(Option::is_some).await.map(|known| known.clone());
        // Who should have opened it is gone.
        known.ok().flatten().unwrap_or_else(|| Err(Arc::new(forgotten())))?;
    }
    Ok(())
}

fn forgotten() -> Blocked {
    let message = "an image that it needs was never made ready";
    Blocked { outcome: Outcome::Errored, cause: Cause::new(CauseClass::Internal, "ImageForgotten", message) }
}
