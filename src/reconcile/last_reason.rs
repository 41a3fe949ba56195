//! Logs a repeated failure once, not with every attempt.

use std::fmt::Display;

/// The error of the last attempt; empty if it succeeded.
#[derive(Default)]
pub(super) struct LastReason(String);

impl LastReason {
    /// Records a failure. Returns whether it differs from the one before.
    pub(super) fn is_news(&mut self, error: &impl Display) -> bool {
        let reason = error.to_string();
        let is_news = self.0 != reason;
        self.0 = reason;
        is_news
    }

    /// Records a success.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
