//! How errors explain themselves to people: what happened, and then what to do next, in one sentence each.

use std::fmt;

/// An error that a person can do something about. Its `Display` says what happened, without a final period.
pub trait Explain: fmt::Display {
    /// What to do next, in one sentence.
    fn remedy(&self) -> String;

    /// What happened, and what to do next.
    fn explained(&self) -> String {
        explanation(&self.to_string(), &self.remedy())
    }
}

/// What happened, as a sentence, and what to do next.
pub fn explanation(what: &str, remedy: &str) -> String {
    format!("{}. {remedy}", capitalized(what.trim_end_matches('.')))
}

/// The text with its first letter in upper case.
pub fn capitalized(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map(|first| first.to_uppercase().chain(characters).collect()).unwrap_or_default()
}

/// The first characters of a text, with an ellipsis if there are more.
pub fn truncated(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_explanation_is_two_sentences() {
        assert_eq!(explanation("the disk is full", "Free space."), "The disk is full. Free space.");
        assert_eq!(explanation("écrit.", "Retry."), "Écrit. Retry.");
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(truncated("größer", 3), "grö…");
        assert_eq!(truncated("größer", 6), "größer");
    }
}
