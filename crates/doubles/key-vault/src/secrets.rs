//! The write operations; each is durable before it is answered.

use std::{collections::BTreeMap, sync::OnceLock, time::Duration};

use axum::{http::StatusCode, response::Response};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use doubles_common::disk::{Disk, DiskError};
use parking_lot::{RwLock, RwLockReadGuard};
use secrecy::SecretString;
use zeroize::Zeroizing;

use super::{
    body,
    certificate::{Certificate, CertificateForm},
    clock::Clock,
    limits::{check_properties, check_value},
    operation::is_name,
    refusal::Refusal,
    state::{Change, Deletion, Doing, Secret, State, Version, key},
    wire::{self, AttributesBody, BackupBody, Bundle, PropertiesBody, RECOVERABLE_DAYS, SetBody},
    witness::{self, Witness},
};

/// The vault's state, in memory and on disk.
pub(super) struct Vault {
    state: RwLock<State>,
    disk: Disk,
    witness: OnceLock<Witness>,
    /// Held during a write, from the first read until it is stored.
    writer: tokio::sync::Mutex<()>,
}

/// A secret to seed.
pub struct Seed {
    /// Name, with the case to show.
    pub name: String,
    /// Value.
    pub value: SecretString,
    /// Content type.
    pub content_type: Option<String>,
    /// Tags; if empty, answers leave them out.
    pub tags: BTreeMap<String, String>,
    /// Whether it belongs to a certificate: shown with `managed` and `kid`, and refused to PUT, PATCH and DELETE. The certificate
    /// in its value, if there is one of the content type, is shown as such; see [`Seed::certificate`].
    pub managed: bool,
}

/// The result of a [`Seed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seeded {
    /// The secret was created.
    Created,
    /// A live or deleted secret has the name; nothing has changed.
    AlreadyThere,
}

/// Why something can't be seeded.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// Key Vault would refuse it, too.
    #[error("the secret {name:?} can't be seeded: {message}")]
    Invalid {
        /// Its name.
        name: String,
        /// The reason.
        message: String,
    },
    /// The state can't be written.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

// === impl Seed ===

impl Seed {
    /// The secret of a certificate: the key (PKCS#8) and the certificates of a PEM text, in any order.
    pub fn certificate(name: &str, pem: SecretString, form: CertificateForm) -> Result<Self, SeedError> {
        let value = form.value(name, pem).map_err(|why| SeedError::invalid(name, why))?;
        let content_type = Some(form.content_type().to_owned());
        Ok(Self { name: name.to_owned(), value, content_type, tags: BTreeMap::new(), managed: true })
    }
}

// === impl SeedError ===

impl SeedError {
    fn invalid(name: &str, message: impl Into<String>) -> Self {
        Self::Invalid { name: name.to_owned(), message: message.into() }
    }
}

// === impl Vault ===

impl Vault {
    /// Opens the stored state.
    pub(super) async fn open(disk: Disk) -> Result<Self, DiskError> {
        let state = RwLock::new(State::load(&disk).await?);
        Ok(Self { state, disk, witness: OnceLock::new(), writer: tokio::sync::Mutex::default() })
    }

    /// See [`super::KeyVault::witness`].
    pub(super) fn witness(&self, witness: Witness) {
        // The first one stays.
        let _ = self.witness.set(witness);
    }

    /// The current state.
    pub(super) fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read()
    }

    /// PUT: a new secret, or a new version of an existing one.
    pub(super) async fn set(
        &self,
        host: &str,
        name: &str,
        body: &[u8],
        clock: &Clock,
    ) -> Result<Response, Refusal> {
        let SetBody { value, properties } = body::parse(body)?;
        let value = value.ok_or_else(|| Refusal::bad_parameter("Property secret has invalid value"))?;
        check_value(&value)?;
        check_properties(&properties)?;
        let _writer = self.writer.lock().await;
        let (id, change) = self.new_version(name, value, properties, false, clock)?;
        self.commit([change]).await.map_err(lost)?;
        self.show(name, |secret| Some(Bundle::value(host, secret, secret.version(Some(&id))?)))
    }

    /// PATCH: attributes, tags and content type of a version.
    pub(super) async fn update(
        &self,
        host: &str,
        name: &str,
        version: Option<&str>,
        body: &[u8],
        clock: &Clock,
    ) -> Result<Response, Refusal> {
        let properties: PropertiesBody = body::parse(body)?;
        check_properties(&properties)?;
        let _writer = self.writer.lock().await;
        let (id, change) = {
            let state = self.read();
            let secret = live(&state, name, "update", clock)?;
            let version = secret.version(version).ok_or_else(|| Refusal::secret_not_found(name, version))?;
            let mut version = Version { updated: clock.seconds(), ..version.clone() };
            amend(&mut version, properties);
            let (name, managed) = (secret.name.clone(), secret.managed);
            (version.id.clone(), Change::Version { name, managed, version })
        };
        self.commit([change]).await.map_err(lost)?;
        self.show(name, |secret| Some(Bundle::version(host, secret, secret.version(Some(&id))?)))
    }

    /// DELETE: the secret can be recovered with all versions until it is purged.
    pub(super) async fn delete(
        &self,
        host: &str,
        name: &str,
        clock: &Clock,
        lasts: Duration,
    ) -> Result<Response, Refusal> {
        let _writer = self.writer.lock().await;
        live(&self.read(), name, "delete", clock)?;
        let deleted = clock.seconds();
        let deletion = Deletion { deleted, scheduled_purge: deleted + RECOVERABLE_DAYS * 24 * 60 * 60 };
        self.commit([Change::Delete { key: key(name), deletion }]).await.map_err(lost)?;
        self.begin(name, Doing::Deleting, clock, lasts);
        let state = self.read();
        let (secret, deletion) =
            state.deleted(&key(name)).ok_or_else(|| Refusal::deleted_secret_not_found(name))?;
        Ok(wire::json(StatusCode::OK, &Bundle::deleted(host, secret, deletion)))
    }

    /// POST …/recover: the deleted secret is live again, with all versions.
    pub(super) async fn recover(
        &self,
        host: &str,
        name: &str,
        clock: &Clock,
        lasts: Duration,
    ) -> Result<Response, Refusal> {
        let _writer = self.writer.lock().await;
        check_deleted(&self.read(), name, clock)?;
        self.commit([Change::Recover { key: key(name) }]).await.map_err(lost)?;
        self.begin(name, Doing::Recovering, clock, lasts);
        self.show(name, |secret| Some(Bundle::version(host, secret, secret.latest())))
    }

    /// DELETE of a deleted secret: purges it.
    pub(super) async fn purge(&self, name: &str, clock: &Clock, lasts: Duration) -> Result<(), Refusal> {
        let _writer = self.writer.lock().await;
        check_deleted(&self.read(), name, clock)?;
        self.commit([Change::Purge { key: key(name) }]).await.map_err(lost)?;
        self.begin(name, Doing::Purging, clock, lasts);
        Ok(())
    }

    /// POST …/backup: the secret with all versions, sealed, for this vault only.
    pub(super) fn backup(&self, name: &str, clock: &Clock) -> Result<Response, Refusal> {
        let bytes = live(&self.read(), name, "backup", clock)?.backup();
        let sealed = self.disk.seal(bytes).map_err(lost)?;
        Ok(wire::json(StatusCode::OK, &BackupBody { value: URL_SAFE_NO_PAD.encode(sealed) }))
    }

    /// POST /secrets/restore: restores a backup if the name is free.
    pub(super) async fn restore(&self, host: &str, body: &[u8], clock: &Clock) -> Result<Response, Refusal> {
        let BackupBody { value } = body::parse(body)?;
        let damaged = || Refusal::bad_parameter("Backup blob contains invalid or corrupt data.");
        let sealed = URL_SAFE_NO_PAD.decode(value.trim_end_matches('=')).map_err(|_| damaged())?;
        let bytes = Zeroizing::new(self.disk.unseal(sealed).map_err(|_| damaged())?);
        let secret = Secret::restore(&bytes).map_err(|_| damaged())?;
        let name = secret.name.clone();
        let _writer = self.writer.lock().await;
        check_free(&self.read(), &name, clock)?;
        if self.read().live(&key(&name)).is_some() {
            return Err(Refusal::conflict(format!(
                "Secret {name} already exists and can't be restored over."
            )));
        }
        self.commit([Change::Secret(secret)]).await.map_err(lost)?;
        self.show(&name, |secret| Some(Bundle::version(host, secret, secret.latest())))
    }

    /// Creates the secrets that don't exist yet in one transaction, regardless of tokens, faults and throttling.
    pub(super) async fn seed(&self, seeds: Vec<Seed>, clock: &Clock) -> Result<Vec<Seeded>, SeedError> {
        let _writer = self.writer.lock().await;
        let mut changes = BTreeMap::new();
        let mut outcomes = Vec::with_capacity(seeds.len());
        for seed in seeds {
            let at = key(&seed.name);
            let taken = {
                let state = self.read();
                state.live(&at).is_some() || state.deleted(&at).is_some() || changes.contains_key(&at)
            };
            outcomes.push(if taken { Seeded::AlreadyThere } else { Seeded::Created });
            if !taken {
                let name = seed.name.clone();
                let change =
                    self.seeded(seed, clock).map_err(|refusal| SeedError::invalid(&name, refusal.message))?;
                changes.insert(at, change);
            }
        }
        self.commit(changes.into_values()).await?;
        Ok(outcomes)
    }

    /// Sets attributes of the latest version of a secret, regardless of tokens, faults and throttling.
    pub(super) async fn set_attributes(
        &self,
        name: &str,
        is_enabled: bool,
        expires: Option<i64>,
        clock: &Clock,
    ) -> Result<(), SeedError> {
        let _writer = self.writer.lock().await;
        let change = {
            let state = self.read();
            let secret = state.live(&key(name));
            let secret = secret.ok_or_else(|| SeedError::invalid(name, "there is no secret of this name"))?;
            let mut version = Version { updated: clock.seconds(), ..secret.latest().clone() };
            let attributes = AttributesBody { enabled: Some(is_enabled), nbf: None, exp: expires };
            let properties = PropertiesBody { attributes: Some(attributes), content_type: None, tags: None };
            amend(&mut version, properties);
            Change::Version { name: secret.name.clone(), managed: secret.managed, version }
        };
        Ok(self.commit([change]).await?)
    }

    /// Adds a version to a certificate, in its form and with its tags, as Key Vault's own renewal does; returns the id.
    pub(super) async fn renew(
        &self,
        name: &str,
        pem: SecretString,
        clock: &Clock,
    ) -> Result<String, SeedError> {
        let invalid = |why: &str| SeedError::invalid(name, why);
        let _writer = self.writer.lock().await;
        let (tags, content_type) = {
            let state = self.read();
            let latest = state.live(&key(name)).filter(|secret| secret.managed).map(Secret::latest);
            let latest = latest.ok_or_else(|| invalid("there is no certificate of this name"))?;
            (latest.tags.clone(), latest.content_type.clone().unwrap_or_default())
        };
        let form = CertificateForm::of(&content_type)
            .ok_or_else(|| invalid("its content type is not a certificate's"))?;
        let value = form.value(name, pem).map_err(invalid)?;
        let properties = PropertiesBody {
            attributes: validity(&value, &content_type),
            content_type: Some(content_type),
            tags,
        };
        let added = check_value(&value).and_then(|()| self.new_version(name, value, properties, true, clock));
        let (id, change) = added.map_err(|refusal| invalid(&refusal.message))?;
        self.commit([change]).await?;
        Ok(id)
    }

    fn seeded(&self, seed: Seed, clock: &Clock) -> Result<Change, Refusal> {
        if !is_name(&seed.name) {
            return Err(Refusal::bad_parameter("a name is 1 to 127 letters, digits and hyphens"));
        }
        let tags = (!seed.tags.is_empty()).then_some(seed.tags);
        let attributes = seed
            .content_type
            .as_deref()
            .filter(|_| seed.managed)
            .and_then(|kind| validity(&seed.value, kind));
        let properties = PropertiesBody { content_type: seed.content_type, attributes, tags };
        check_value(&seed.value)?;
        check_properties(&properties)?;
        Ok(self.new_version(&seed.name, seed.value, properties, seed.managed, clock)?.1)
    }

    /// The id of a new version, and the change that adds it. The caller holds the writer's lock.
    fn new_version(
        &self,
        name: &str,
        value: SecretString,
        properties: PropertiesBody,
        managed: bool,
        clock: &Clock,
    ) -> Result<(String, Change), Refusal> {
        let state = self.read();
        check_free(&state, name, clock)?;
        let present = state.live(&key(name));
        if !managed && present.is_some_and(|secret| secret.managed) {
            return Err(Refusal::managed("set"));
        }
        let now = clock.seconds();
        let mut version = Version {
            id: uuid::Uuid::new_v4().simple().to_string(),
            sequence: present.map_or(0, |secret| secret.latest().sequence + 1),
            value,
            content_type: None,
            tags: None,
            enabled: true,
            not_before: None,
            expires: None,
            created: now,
            updated: now,
        };
        amend(&mut version, properties);
        let name = present.map_or(name, |secret| &secret.name).to_owned();
        Ok((version.id.clone(), Change::Version { name, managed, version }))
    }

    /// Makes changes on disk, then in memory, so that reads see only durable state.
    async fn commit(&self, changes: impl IntoIterator<Item = Change>) -> Result<(), DiskError> {
        let changes: Vec<Change> = changes.into_iter().collect();
        let writes = {
            let state = self.read();
            changes.iter().flat_map(|change| state.writes(change)).collect()
        };
        self.disk.write(writes).await?;
        let mut state = self.state.write();
        for change in changes {
            if let Some(witness) = self.witness.get() {
                witness::tell(witness, &change);
            }
            state.apply(change);
        }
        Ok(())
    }

    fn begin(&self, name: &str, doing: Doing, clock: &Clock, lasts: Duration) {
        let now = clock.now();
        let mut state = self.state.write();
        state.begin(key(name), doing, now + lasts, now);
    }

    /// The answer about a secret that was just written.
    fn show(
        &self,
        name: &str,
        bundle: impl for<'a> FnOnce(&'a Secret) -> Option<Bundle<'a>>,
    ) -> Result<Response, Refusal> {
        let state = self.read();
        let bundle = state.live(&key(name)).and_then(bundle);
        let bundle = bundle.ok_or_else(|| Refusal::secret_not_found(name, None))?;
        Ok(wire::json(StatusCode::OK, &bundle))
    }
}

/// The live secret for an operation, or the refusal.
fn live<'a>(state: &'a State, name: &str, operation: &str, clock: &Clock) -> Result<&'a Secret, Refusal> {
    match state.doing(&key(name), clock.now()) {
        Some(Doing::Deleting | Doing::Purging) => return Err(Refusal::being_deleted()),
        Some(Doing::Recovering) => return Err(Refusal::being_recovered()),
        None => {}
    }
    let secret = state.live(&key(name)).ok_or_else(|| Refusal::secret_not_found(name, None))?;
    if secret.managed && operation != "backup" { Err(Refusal::managed(operation)) } else { Ok(secret) }
}

/// Refuses a name that a deleted secret has, or whose transition is in progress.
fn check_free(state: &State, name: &str, clock: &Clock) -> Result<(), Refusal> {
    match state.doing(&key(name), clock.now()) {
        Some(Doing::Deleting | Doing::Purging) => Err(Refusal::being_deleted()),
        Some(Doing::Recovering) => Err(Refusal::being_recovered()),
        None if state.deleted(&key(name)).is_some() => Err(Refusal::deleted_but_recoverable(name)),
        None => Ok(()),
    }
}

/// Refuses if there is no deleted secret, or its deletion is in progress.
fn check_deleted(state: &State, name: &str, clock: &Clock) -> Result<(), Refusal> {
    match state.doing(&key(name), clock.now()) {
        Some(Doing::Deleting | Doing::Purging) => Err(Refusal::being_deleted()),
        Some(Doing::Recovering) => Err(Refusal::being_recovered()),
        None if state.deleted(&key(name)).is_none() => Err(Refusal::deleted_secret_not_found(name)),
        None => Ok(()),
    }
}

/// The dates of a certificate's secret, which are the certificate's.
fn validity(value: &SecretString, content_type: &str) -> Option<AttributesBody> {
    let certificate = Certificate::of(value, Some(content_type))?;
    let (nbf, exp) = (Some(certificate.not_before), Some(certificate.not_after));
    Some(AttributesBody { enabled: None, nbf, exp })
}

/// Sets the fields that the client sent.
fn amend(version: &mut Version, properties: PropertiesBody) {
    let attributes = properties.attributes.unwrap_or_default();
    version.enabled = attributes.enabled.unwrap_or(version.enabled);
    version.not_before = attributes.nbf.or(version.not_before);
    version.expires = attributes.exp.or(version.expires);
    version.tags = properties.tags.or(version.tags.take());
    version.content_type = properties.content_type.or(version.content_type.take());
}

/// The answer when the double can't write its state.
fn lost(error: DiskError) -> Refusal {
    Refusal::internal(error.to_string())
}
