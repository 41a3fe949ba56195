//! Key Vault's limits on values, tags and content types.

use secrecy::{ExposeSecret, SecretString};

use super::{refusal::Refusal, wire::PropertiesBody};

/// The maximum size of a value in bytes.
const MAX_VALUE: usize = 25_600;
/// The maximum number of tags, and the maximum characters of each key and value.
const MAX_TAGS: (usize, usize) = (15, 256);
/// The maximum characters of a content type.
const MAX_CONTENT_TYPE: usize = 255;

/// Refuses a value that is too long.
pub(super) fn check_value(value: &SecretString) -> Result<(), Refusal> {
    if value.expose_secret().len() > MAX_VALUE {
        return Err(Refusal::bad_parameter(format!(
            "Property secret value is longer than {MAX_VALUE} bytes."
        )));
    }
    Ok(())
}

/// Refuses tags and content types that Key Vault doesn't take.
pub(super) fn check_properties(properties: &PropertiesBody) -> Result<(), Refusal> {
    let (count, characters) = MAX_TAGS;
    let tags = properties.tags.iter().flatten();
    let long = |text: &str, most: usize| text.chars().count() > most;
    if properties.tags.as_ref().is_some_and(|tags| tags.len() > count) {
        return Err(Refusal::bad_parameter(format!("Property tags has more than {count} tags.")));
    }
    if tags.clone().any(|(key, value)| long(key, characters) || long(value, characters)) {
        return Err(Refusal::bad_parameter(format!(
            "Property tags has a name or value of more than {characters} characters."
        )));
    }
    if properties.content_type.as_deref().is_some_and(|text| long(text, MAX_CONTENT_TYPE)) {
        return Err(Refusal::bad_parameter(format!(
            "Property contentType has more than {MAX_CONTENT_TYPE} characters."
        )));
    }
    Ok(())
}
