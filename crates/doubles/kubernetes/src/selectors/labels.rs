//! Label selectors: their grammar, with the real server's messages.

use std::{iter::Peekable, vec};

use serde_json::Value;

use super::super::names::{label_key_problem, label_value_problem};

/// A requirement on a label.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Requirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Absent(String),
    Greater(String, i64),
    Less(String, i64),
}

/// The remaining tokens of a selector.
struct Words<'a>(Peekable<vec::IntoIter<&'a str>>);

/// Parses a selector; the error is the message.
pub(super) fn parse(selector: &str) -> Result<Vec<Requirement>, String> {
    let (mut words, mut requirements) = (Words::of(selector), Vec::new());
    while !words.peek().is_empty() {
        if is_sign(words.peek()) && words.peek() != "!" {
            return Err(format!("found '{}', expected: !, identifier, or 'end of string'", words.peek()));
        }
        let requirement = words.requirement();
        requirements.push(requirement.map_err(|problem| format!("unable to parse requirement: {problem}"))?);
        match words.next() {
            "" => break,
            "," if words.peek() == "!" || is_identifier(words.peek()) => {}
            "," => return Err(format!("found '{}', expected: identifier after ','", words.peek())),
            other => return Err(format!("found '{other}', expected: ',' or 'end of string'")),
        }
    }
    Ok(requirements)
}

// === impl Words ===

impl<'a> Words<'a> {
    fn of(selector: &'a str) -> Self {
        let (mut words, mut rest) = (Vec::new(), selector.trim_start());
        while !rest.is_empty() {
            let is_part = |c: char| !c.is_whitespace() && !"()!=<>,".contains(c);
            let length = match rest.find(|c| !is_part(c)) {
                Some(0) if ["==", "!="].iter().any(|sign| rest.starts_with(sign)) => 2,
                Some(0) => 1,
                Some(length) => length,
                None => rest.len(),
            };
            let (word, after) = rest.split_at(length);
            words.push(word);
            rest = after.trim_start();
        }
        Self(words.into_iter().peekable())
    }

    /// The next token, not consumed; empty at the end.
    fn peek(&mut self) -> &'a str {
        self.0.peek().copied().unwrap_or_default()
    }

    fn next(&mut self) -> &'a str {
        self.0.next().unwrap_or_default()
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let absent = self.peek() == "!";
        if absent {
            self.next();
        }
        let key = self.identifier()?.to_owned();
        if let Some(problem) = label_key_problem(&key) {
            return Err(format!("<nil>: Invalid value: {key:?}: {problem}"));
        }
        if absent {
            return Ok(Requirement::Absent(key));
        }
        if matches!(self.peek(), "" | ",") {
            return Ok(Requirement::Exists(key));
        }
        match self.next() {
            "in" => Ok(Requirement::In(key, self.set()?)),
            "notin" => Ok(Requirement::NotIn(key, self.set()?)),
            "=" | "==" => Ok(Requirement::In(key.clone(), vec![self.value(&key)?])),
            "!=" => Ok(Requirement::NotIn(key.clone(), vec![self.value(&key)?])),
            ">" => Ok(Requirement::Greater(key, self.number()?)),
            "<" => Ok(Requirement::Less(key, self.number()?)),
            other => Err(format!("found '{other}', expected: in, notin, =, ==, !=, gt, lt")),
        }
    }

    fn identifier(&mut self) -> Result<&'a str, String> {
        let word = self.next();
        if is_identifier(word) { Ok(word) } else { Err(format!("found '{word}', expected: identifier")) }
    }

    /// One value, which may be empty.
    fn value(&mut self, key: &str) -> Result<String, String> {
        if matches!(self.peek(), "" | ",") {
            return Ok(String::new());
        }
        let value = self.identifier()?;
        match label_value_problem(value) {
            None => Ok(value.to_owned()),
            Some(problem) => Err(format!("values[0][{key}]: Invalid value: {value:?}: {problem}")),
        }
    }

    fn number(&mut self) -> Result<i64, String> {
        let value = self.identifier()?;
        let rule = "for 'Gt', 'Lt' operators, the value must be an integer";
        value.parse().map_err(|_| format!("values[0]: Invalid value: {value:?}: {rule}"))
    }

    /// Values in parentheses.
    fn set(&mut self) -> Result<Vec<String>, String> {
        match self.next() {
            "(" => {}
            other => return Err(format!("found '{other}' expected: '('")),
        }
        let mut values = Vec::new();
        loop {
            values.push(if is_identifier(self.peek()) { self.next().to_owned() } else { String::new() });
            match self.next() {
                "," => {}
                ")" => return Ok(values),
                other => return Err(format!("found '{other}', expected: ',' or ')'")),
            }
        }
    }
}

fn is_sign(word: &str) -> bool {
    word.starts_with(['(', ')', '!', '=', '<', '>', ','])
}

fn is_identifier(word: &str) -> bool {
    !word.is_empty() && !is_sign(word)
}

// === impl Requirement ===

impl Requirement {
    pub(super) fn matches(&self, object: &Value) -> bool {
        let labels = object.get("metadata").and_then(|metadata| metadata.get("labels"));
        let label = |key: &str| labels.and_then(|labels| labels.get(key)).and_then(Value::as_str);
        let number = |key: &str| label(key).and_then(|value| value.parse::<i64>().ok());
        match self {
            Self::In(key, values) => label(key).is_some_and(|value| values.iter().any(|v| v == value)),
            Self::NotIn(key, values) => label(key).is_none_or(|value| values.iter().all(|v| v != value)),
            Self::Exists(key) => label(key).is_some(),
            Self::Absent(key) => label(key).is_none(),
            Self::Greater(key, limit) => number(key).is_some_and(|value| value > *limit),
            Self::Less(key, limit) => number(key).is_some_and(|value| value < *limit),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn matches(selector: &str) -> bool {
        let object = json!({ "metadata": { "labels": { "app": "x", "tier": "db", "n": "5" } } });
        parse(selector).unwrap().iter().all(|requirement| requirement.matches(&object))
    }

    #[test]
    fn every_form_of_a_label_selector_is_parsed() {
        for selector in [
            "",
            "app=x",
            "app==x",
            "app!=y",
            "other!=x",
            "app",
            "!other",
            "app in (x, y),tier",
            " app in ( x,y ) , tier = db",
            "app notin (in,notin)",
            "other notin ()",
            "tier notin (web)",
            "other notin (a)",
            "n>4",
            "n<6",
            "app=x,tier in (db,web),!other",
        ] {
            assert!(matches(selector), "{selector}");
        }
        for selector in
            ["app=y", "app!=x", "other", "!app", "app in (y)", "tier notin (db,web)", "n>5", "app=x,other"]
        {
            assert!(!matches(selector), "{selector}");
        }
        for selector in
            ["app in x", "-a=b", "a=b c", "n>x", "app=x,,tier", "app in (x", "=x", "!app=x", "app=x=y"]
        {
            assert!(parse(selector).is_err(), "{selector}");
        }
    }
}
