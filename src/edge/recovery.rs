//! Reads synced secrets back from the objects that this service writes at the edge, to rebuild the database.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::Resource;
use url::Url;
use uuid::Uuid;

use super::{
    Edge, EdgeError, FIELD_MANAGER, UID_LABEL, is_reserved,
    manifest::{AnnotatedSpec, has_own_annotations, is_merged, is_written_by, parse_annotations, uid_label},
    secret_store::{EXTENSION, LABEL_PREFIX, SecretSync, has_keys_of_others, is_made_by_extension},
    table::Printed,
};
use crate::{
    model::{
        Admission, Condition, ConditionType, Origin, Reason, SecretType, State, Status, SyncEngine,
        SyncedSecret,
    },
    quote::Quote,
};

/// An object at the edge that carries the label of a synced secret.
#[derive(Clone, Debug)]
pub struct Recovered {
    /// The uid that its label says.
    pub label: Option<Uuid>,
    /// The engine that writes it.
    pub engine: SyncEngine,
    /// The uid that the Kubernetes Secret has.
    pub edge_uid: Option<String>,
    /// The synced secret as a caller asked for it, PENDING; or why it can't be recovered, as a part of a
    /// sentence.
    pub specification: Result<SyncedSecret, String>,
    /// How the object is listed if the database does not know it: UNMANAGED, with the uid that Kubernetes
    /// gave it.
    pub mirror: SyncedSecret,
}

/// All recovered objects.
#[derive(Debug)]
pub struct Recovery {
    /// The objects.
    pub objects: Vec<Recovered>,
    /// False if Secrets are missing, because the cluster does not serve their SecretSyncs at the moment.
    pub is_complete: bool,
}

/// An object that carries our label.
struct LabelledObject<'a> {
    metadata: &'a ObjectMeta,
    engine: SyncEngine,
    secret_type: &'a str,
    edge_uid: Option<&'a String>,
    /// What a caller asked for, or why that is unknown.
    specification: Result<Specification, String>,
}

/// The specification of a synced secret, recovered from an object.
struct Specification {
    uid: Uuid,
    spec: AnnotatedSpec,
    secret_type: SecretType,
    labels: BTreeMap<String, String>,
}

impl Edge {
    /// All objects that carry our label, no matter who set it. `vault` is the vault of this service, `admission`
    /// the admission rules. Reads no value and changes nothing. `are_kinds_gone` says whether the cluster is
    /// known to have dropped the SecretSync kind for good. If it is false and the cluster serves no
    /// SecretSyncs, the Secrets that SecretSyncs own are left out.
    pub async fn recover(
        &self,
        vault: &Url,
        admission: &Admission,
        are_kinds_gone: bool,
    ) -> Result<Recovery, EdgeError> {
        let mut secrets = self.printed_all(UID_LABEL).await?;
        let mut is_complete = true;
        let syncs = match self.labelled_syncs().await {
            Err(EdgeError::Forbidden(_)) => Vec::new(),
            Err(EdgeError::NotFound(_)) => {
                let before = secrets.len();
                secrets.retain(|secret| are_kinds_gone || !is_of_a_sync(&secret.metadata));
                is_complete = secrets.len() == before;
                Vec::new()
            }
            syncs => syncs?,
        };
        let mut labelled = Vec::with_capacity(secrets.len());
        let mut made: HashMap<&str, &ObjectMeta> =
            secrets.iter().map(|secret| (name(&secret.metadata), &secret.metadata)).collect();
        for sync in &syncs {
            let label = uid_label(&sync.metadata);
            let secret = made.remove(name(&sync.metadata)).filter(|secret| uid_label(secret) == label);
            labelled.push(LabelledObject::sync(sync, secret, vault));
        }
        let alone = secrets.iter().filter(|secret| made.contains_key(name(&secret.metadata)));
        labelled.extend(alone.map(|secret| LabelledObject::secret(secret, vault)));
        leave_copies(&mut labelled);
        labelled.iter_mut().for_each(|one| one.leave_unless_admitted(admission));
        let objects = labelled.into_iter().filter_map(LabelledObject::recover).collect();
        Ok(Recovery { objects, is_complete })
    }

    async fn labelled_syncs(&self) -> Result<Vec<SecretSync>, EdgeError> {
        let mut syncs = Vec::new();
        let is_labelled = |sync: &SecretSync| uid_label(&sync.metadata).is_some();
        self.each(&self.syncs(), |sync| syncs.extend(Some(sync).filter(is_labelled))).await?;
        Ok(syncs)
    }
}

// === impl LabelledObject ===

impl<'a> LabelledObject<'a> {
    /// A Secret without a SecretSync.
    fn secret(secret: &'a Printed, vault: &Url) -> Self {
        let (metadata, secret_type) = (&secret.metadata, secret.secret_type.as_str());
        let specification = match metadata.owner_references.iter().flatten().next() {
            Some(owner) => {
                let (kind, owner) = (Quote::from(&owner.kind), Quote::from(&owner.name));
                Err(format!("its owner is the {kind} {owner}, which was not written by this service"))
            }
            None if is_merged(metadata, &["f:data", "f:type"]) => Err("another tool created it".to_owned()),
            None => specification(metadata, secret_type, own_labels(metadata), vault),
        };
        let edge_uid = metadata.uid.as_ref();
        Self { metadata, engine: SyncEngine::Direct, secret_type, edge_uid, specification }
    }

    /// A SecretSync, and the Secret with its name and label. The extension merges labels and owner into any
    /// existing Secret. So the Secret counts as ours only if the extension created it, or if it is being
    /// handed over between the engines and nobody else has keys in it.
    fn sync(sync: &'a SecretSync, secret: Option<&'a ObjectMeta>, vault: &Url) -> Self {
        let (metadata, object) = (&sync.metadata, &sync.spec.secret_object);
        let is_owner = |owner: &OwnerReference| Some(&owner.uid) == metadata.uid.as_ref();
        let is_own = |secret: &ObjectMeta| match secret.owner_references.as_deref().unwrap_or_default() {
            [] => !has_keys_of_others(secret),
            owners => owners.iter().any(is_owner) && is_made_by_extension(secret),
        };
        let specification = match secret {
            _ if is_merged(metadata, &["f:spec"]) => Err("another tool created it".to_owned()),
            Some(secret) if !is_own(secret) => {
                Err("the Secret of its name may have existed before it".to_owned())
            }
            _ => specification(metadata, &object.r#type, object.labels.clone(), vault),
        };
        let edge_uid = secret.filter(|secret| is_own(secret)).and_then(|secret| secret.uid.as_ref());
        Self {
            metadata,
            engine: SyncEngine::SecretStore,
            secret_type: &object.r#type,
            edge_uid,
            specification,
        }
    }

    /// Applies the admission rules, because anybody who may write Secrets could otherwise bypass them.
    fn leave_unless_admitted(&mut self, admission: &Admission) {
        let Ok(specification) = &self.specification else { return };
        let owner = name(self.metadata).parse().ok().and_then(|id| admission.owner(&id).map(str::to_owned));
        let refused = owner
            .map(|owner| format!("its name is reserved for {owner}"))
            .or_else(|| admission.check_type(&specification.secret_type).err().map(|error| error.to_string()))
            .or_else(|| admission.check_labels(&specification.labels).err().map(|error| error.to_string()));
        if let Some(why) = refused {
            self.specification = Err(why);
        }
    }

    /// None if its name or uid is invalid.
    fn recover(self) -> Option<Recovered> {
        let Self { metadata, engine, secret_type, edge_uid, specification } = self;
        let created = metadata.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0);
        let (id, uid) = (name(metadata).parse().ok()?, metadata.uid.as_deref()?.parse().ok()?);
        let mut mirror = SyncedSecret {
            secret_type: secret_type.parse().unwrap_or_default(),
            state: State::Degraded,
            ..SyncedSecret::new(id, uid, Origin::Unmanaged, created)
        };
        let specification = specification.map(|specification| specification.synced_secret(&mirror, engine));
        if let Ok(specification) = &specification {
            mirror.references.clone_from(&specification.references);
            mirror.labels.clone_from(&specification.labels);
        }
        mirror.set_condition(not_recorded(metadata, specification.as_ref().err()));
        let label = uid_label(metadata).and_then(|label| label.parse().ok());
        Some(Recovered { label, engine, edge_uid: edge_uid.cloned(), specification, mirror })
    }
}

// === impl Specification ===

impl Specification {
    /// The synced secret of an object that is mirrored so.
    fn synced_secret(self, mirror: &SyncedSecret, engine: SyncEngine) -> SyncedSecret {
        let Self { uid, spec, secret_type, labels } = self;
        let AnnotatedSpec { references, generation, description, .. } = spec;
        let message = "Rebuilt from the edge, and not compared with the vault yet.";
        let condition = Condition::new(ConditionType::Synced, Status::False, Reason::Pending, message);
        SyncedSecret {
            uid,
            description,
            secret_type,
            references,
            labels,
            state: State::Pending,
            conditions: vec![condition],
            origin: Origin::Managed,
            generation,
            // The direct engine writes a generation in one request. The extension has to report whether it
            // has synced the generation.
            synced_generation: if engine == SyncEngine::Direct { generation } else { 0 },
            ..mirror.clone()
        }
    }
}

/// What a caller asked for, from the annotations and labels that this service wrote.
fn specification(
    metadata: &ObjectMeta,
    secret_type: &str,
    mut labels: BTreeMap<String, String>,
    vault: &Url,
) -> Result<Specification, String> {
    let uid = uid_label(metadata).and_then(|label| label.parse().ok());
    let uid = uid.ok_or_else(|| format!("its label {UID_LABEL} is not a uid"))?;
    if metadata.deletion_timestamp.is_some() {
        return Err("it is being deleted".to_owned());
    }
    // A copy of an object has the same annotations, but another field manager.
    if !has_own_annotations(metadata) {
        return Err("its annotations were not written by this service".to_owned());
    }
    let spec = parse_annotations(metadata.annotations.as_ref().unwrap_or(&BTreeMap::new()))?;
    if spec.vault.parse::<Url>().ok().as_ref() != Some(vault) {
        return Err(format!("it belongs to another vault, {}", Quote::from(spec.vault)));
    }
    let secret_type =
        secret_type.parse().map_err(|error| format!("synced secrets can't have its type: {error}"))?;
    labels.retain(|label, _| !is_reserved(label) && !label.starts_with(LABEL_PREFIX));
    Ok(Specification { uid, spec, secret_type, labels })
}

/// If two objects carry the same uid, neither is recovered: one is a copy, and nothing shows which.
fn leave_copies(labelled: &mut [LabelledObject<'_>]) {
    let mut names: HashMap<Uuid, Vec<&str>> = HashMap::new();
    for one in labelled.iter() {
        if let Ok(specification) = &one.specification {
            names.entry(specification.uid).or_default().push(name(one.metadata));
        }
    }
    for one in labelled {
        let Ok(specification) = &one.specification else { continue };
        if let [first, second, ..] = names[&specification.uid].as_slice() {
            one.specification = Err(format!("{first} and {second} carry the same uid"));
        }
    }
}

fn not_recorded(metadata: &ObjectMeta, why: Option<&String>) -> Condition {
    let label = Quote::from(uid_label(metadata).unwrap_or_default());
    let what =
        format!("The object carries the label of a synced secret ({label}) that is not in the database");
    let message = match why {
        None => format!("{what}. Run `secret-service rebuild` to record it again."),
        Some(why) => format!(
            "{what}, and can't be recorded again, because {why}. Adopt it with AdoptSyncedSecret and a \
             reference for each key, or delete it from the cluster."
        ),
    };
    Condition::new(ConditionType::Synced, Status::Unknown, Reason::NotRecorded, message)
}

fn name(metadata: &ObjectMeta) -> &str {
    metadata.name.as_deref().unwrap_or_default()
}

fn is_of_a_sync(secret: &ObjectMeta) -> bool {
    let group = SecretSync::group(&());
    let is_sync = |owner: &OwnerReference| {
        owner.kind == SecretSync::kind(&()) && owner.api_version.split('/').next() == Some(group.as_ref())
    };
    secret.owner_references.iter().flatten().any(is_sync)
}

/// The labels that we wrote, or that the extension wrote for us.
fn own_labels(metadata: &ObjectMeta) -> BTreeMap<String, String> {
    let is_own = |label: &str| {
        let path = ["f:metadata", "f:labels", &format!("f:{label}")];
        is_written_by(metadata, FIELD_MANAGER, &path) || is_written_by(metadata, EXTENSION, &path)
    };
    let labels = metadata.labels.iter().flatten().filter(|(label, _)| is_own(label));
    labels.map(|(label, value)| (label.clone(), value.clone())).collect()
}
