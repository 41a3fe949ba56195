//! The provider: from a class to its files. It fetches all objects of the class, whoever asks and whatever for.

use std::collections::BTreeMap;

use base64::{DecodeError, Engine, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use super::{
    azure::{Azure, Session},
    objects::{Parameters, VaultObject},
};

/// What became of a class's objects.
#[derive(Default)]
pub(super) struct Files {
    found: BTreeMap<String, Zeroizing<Vec<u8>>>,
    /// By the object's path: why there is none.
    missing: BTreeMap<String, String>,
}

/// What is under a path.
pub(super) enum File<'a> {
    Found(&'a Zeroizing<Vec<u8>>),
    /// The class names it, and it couldn't be fetched.
    Missing(&'a str),
    /// The class doesn't name it.
    Unknown,
}

// === impl Files ===

impl Files {
    /// Fetches the objects of a class. The first that is missing fails all, unless some may be missing.
    pub async fn fetch(
        azure: &Azure,
        parameters: &BTreeMap<String, String>,
        some_may_be_missing: bool,
    ) -> Result<Self, String> {
        let Parameters { vault_name, objects } = Parameters::parse(parameters)?;
        let mut session = azure.session(&vault_name)?;
        let mut files = Self::default();
        for object in &objects {
            match fetch(&mut session, object, &mut files.found).await {
                Ok(()) => {}
                Err(why) if some_may_be_missing => {
                    files.missing.insert(object.path().to_owned(), why);
                }
                Err(why) => return Err(why),
            }
        }
        Ok(files)
    }

    pub fn get(&self, path: &str) -> File<'_> {
        if let Some(content) = self.found.get(path) {
            return File::Found(content);
        }
        // Of an object with a history, the path ends in the number of a version.
        let object = path.split_once('/').map_or(path, |(object, _)| object);
        self.missing.get(object).map_or(File::Unknown, |why| File::Missing(why))
    }
}

async fn fetch(
    session: &mut Session<'_>,
    object: &VaultObject,
    files: &mut BTreeMap<String, Zeroizing<Vec<u8>>>,
) -> Result<(), String> {
    let VaultObject { object_name: name, object_version: version, object_version_history: history, .. } =
        object;
    let failed = |why| {
        format!(
            "failed to mount objects, error: failed to get objectType:secret, objectName:{name}, \
             objectVersion:{version}: {why}"
        )
    };
    if *history <= 1 {
        let value = session.value(name, version).await.map_err(failed)?;
        files.insert(object.path().to_owned(), decoded(&value, &object.object_encoding).map_err(failed)?);
        return Ok(());
    }
    let versions = session.versions(name).await.map_err(failed)?;
    let from = versions.iter().skip_while(|found| !version.is_empty() && *found != version);
    for (index, version) in from.take(*history as usize).enumerate() {
        let value = session.value(name, version).await.map_err(failed)?;
        let content = decoded(&value, &object.object_encoding).map_err(failed)?;
        files.insert(format!("{}/{index}", object.path()), content);
    }
    Ok(())
}

/// In Go's words where it can't be: its base64 passes over line breaks.
fn decoded(value: &str, encoding: &str) -> Result<Zeroizing<Vec<u8>>, String> {
    let decoded = match encoding.to_ascii_lowercase().as_str() {
        "base64" => {
            let unbroken = Zeroizing::new(value.replace(['\r', '\n'], ""));
            STANDARD.decode(unbroken.as_bytes()).map_err(|error| match error {
                DecodeError::InvalidByte(at, _) | DecodeError::InvalidLastSymbol(at, _) => {
                    format!("illegal base64 data at input byte {at}")
                }
                _ => format!("illegal base64 data at input byte {}", unbroken.len()),
            })?
        }
        "hex" => hex::decode(value).map_err(|error| match error {
            hex::FromHexError::InvalidHexCharacter { c, .. } => {
                format!("encoding/hex: invalid byte: U+{:04X}", u32::from(c))
            }
            _ => "encoding/hex: odd length hex string".to_owned(),
        })?,
        _ => value.as_bytes().to_vec(),
    };
    Ok(Zeroizing::new(decoded))
}
