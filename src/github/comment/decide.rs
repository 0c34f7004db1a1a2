//! Whether a run comments. Pure.

use crate::model::Conclusion;
use crate::settings::CommentWhen;

/// What a run does about its comment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It publishes: in the comment that is there, else in a new one.
    Publish,
    /// It leaves everything as it is, and why.
    Leave(&'static str),
}

/// What to do after a run with `conclusion`. `changed`: the results differ from those that the last comment tells (as good as true without one);
/// `exists`: there is a comment already.
pub fn decide(when: CommentWhen, conclusion: Conclusion, changed: bool, exists: bool) -> Action {
    let failed = matches!(conclusion, Conclusion::Failure | Conclusion::Error);
    match when {
        CommentWhen::Never => Action::Leave("`comment` is never"),
        CommentWhen::Always => Action::Publish,
        // The old comment says which commit it is about: it stays true.
        CommentWhen::OnFailure | CommentWhen::OnChange if conclusion == Conclusion::Cancelled => {
            Action::Leave("the run was cancelled")
        }
        // A comment about a failure that is over would lie.
        CommentWhen::OnFailure if failed || exists => Action::Publish,
        CommentWhen::OnFailure => Action::Leave("nothing failed"),
        CommentWhen::OnChange if changed || !exists => Action::Publish,
        CommentWhen::OnChange => Action::Leave("the results are those of the last comment"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use CommentWhen::{Always, Never, OnChange, OnFailure};
    use Conclusion::{Cancelled, Failure, Success};

    #[test]
    fn each_setting_has_its_rule() {
        for (when, conclusion, changed, exists, publishes) in [
            (Always, Success, false, true, true),
            (Always, Cancelled, false, false, true),
            (Never, Failure, true, true, false),
            (OnFailure, Failure, false, false, true),
            (OnFailure, Conclusion::Error, false, false, true),
            (OnFailure, Success, true, false, false),
            (OnFailure, Success, false, true, true),
            (OnFailure, Cancelled, true, true, false),
            (OnChange, Success, false, false, true),
            (OnChange, Success, true, true, true),
            (OnChange, Failure, false, true, false),
            (OnChange, Cancelled, true, true, false),
        ] {
            let action = decide(when, conclusion, changed, exists);
            assert_eq!(action == Action::Publish, publishes, "{when:?} {conclusion:?} {changed} {exists}");
        }
    }
}
