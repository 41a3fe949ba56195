//! Says why something fails once, and not with every attempt.

use std::fmt::Display;

/// Why the last attempt failed; nothing where it went well.
#[derive(Default)]
pub(super) struct LastReason(String);

impl LastReason {
    /// Takes note of a failure; whether it has another reason than the one before.
    pub(super) fn is_news(&mut self, error: &impl Display) -> bool {
        let reason = error.to_string();
        let is_news = self.0 != reason;
        self.0 = reason;
        is_news
    }

    /// An attempt went well.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
