//! The outputs of the action's step.
