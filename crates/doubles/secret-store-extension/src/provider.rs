//! The provider: fetches all objects of a class as files, whichever of them are needed.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use super::{
    azure::{Azure, Secret, Session},
    certificate,
    encoding::decoded,
    objects::{ObjectType, Parameters, VaultObject},
    pem::{self, Block},
};

/// The fetched objects of a class.
#[derive(Default)]
pub(super) struct Files {
    found: BTreeMap<String, Zeroizing<Vec<u8>>>,
    /// The error for each object that couldn't be fetched, by path.
    missing: BTreeMap<String, String>,
}

/// The result for a path.
pub(super) enum File<'a> {
    Found(&'a Zeroizing<Vec<u8>>),
    /// The class has it, but it couldn't be fetched.
    Missing(&'a str),
    /// The class doesn't have it.
    Unknown,
}

// === impl Files ===

impl Files {
    /// Fetches the objects of a class. The first failure fails all, unless some may be missing.
    pub async fn fetch(
        azure: &Azure,
        parameters: &BTreeMap<String, String>,
        some_may_be_missing: bool,
    ) -> Result<Self, String> {
        let Parameters { cloud, vault_name, objects } = Parameters::parse(parameters)?;
        let mut session = azure.session(&cloud, &vault_name)?;
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
        // The path to an object with a history ends with the number of a version.
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
    let failed = |why: String| format!("failed to mount objects, error: {}", object.failed(version, &why));
    if *history <= 1 {
        files.insert(object.path().to_owned(), content(session, object, version).await.map_err(failed)?);
        return Ok(());
    }
    let versions = session.versions(object.collection(), name).await.map_err(failed)?;
    let from = versions.iter().skip_while(|found| !version.is_empty() && *found != version);
    for (index, version) in from.take(*history as usize).enumerate() {
        let content = content(session, object, version).await.map_err(failed)?;
        files.insert(format!("{}/{index}", object.path()), content);
    }
    Ok(())
}

/// What the file of a version holds.
async fn content(
    session: &mut Session<'_>,
    object: &VaultObject,
    version: &str,
) -> Result<Zeroizing<Vec<u8>>, String> {
    let name = &object.object_name;
    if object.object_type == ObjectType::Cert {
        let certificate = Block::new(pem::CERTIFICATE, session.certificate(name, version).await?);
        return Ok(Zeroizing::new(certificate.encode().as_bytes().to_vec()));
    }
    let Secret { value, kid, content_type } = session.secret(name, version).await?;
    let text = match kid.as_str() {
        "" => value,
        _ => certificate::exported(value, &content_type, &object.object_format)?,
    };
    decoded(&text, &object.object_encoding)
}
