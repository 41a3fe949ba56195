//! The reference model: what was called and answered, what the vault and the edge held when, and what must therefore hold now. It
//! knows nothing of how time passes or who drives: whoever records calls and changes in it can have them judged.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use secret_service::proto::{SyncedSecret, VaultSecret, VaultSecretVersion};
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// A place in the order of everything, and its time since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    pub place: u64,
    pub time: Duration,
}

/// A reference as a caller asks for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Reference {
    pub key: String,
    pub vault_secret: String,
    /// The value of "Create new".
    pub create: Option<String>,
}

/// What a call asks for. Descriptions, labels and values are unlike those of any other call: they tell whose effect something is.
#[derive(Clone, Debug)]
pub enum What {
    Create {
        id: String,
        references: Vec<Reference>,
        mark: String,
    },
    Update {
        id: String,
        description: Option<String>,
        label: Option<String>,
        references: Option<Vec<Reference>>,
    },
    Sync {
        id: String,
    },
    Delete {
        id: String,
    },
    Adopt {
        id: String,
    },
    CreateVaultSecret {
        name: String,
        value: String,
    },
    AddVersion {
        name: String,
        value: String,
    },
}

#[derive(Clone, Debug)]
pub enum Answer {
    Synced(Box<SyncedSecret>),
    VaultSecret(Box<VaultSecret>),
    Version(Box<VaultSecretVersion>),
}

/// How an attempt ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    Ok(Answer),
    /// An answer that says that nothing was done, and why.
    Refused {
        code: Code,
        reason: String,
        message: String,
    },
    /// Nobody can tell what was done.
    Unknown {
        code: Code,
        message: String,
    },
}

/// A call that was sent: a retry has the `request_id` of the first attempt.
#[derive(Clone, Debug)]
pub struct Attempt {
    pub begin: Moment,
    /// Absent while it is under way.
    pub end: Option<Moment>,
    pub wait: Duration,
    pub deadline: Duration,
    pub outcome: Option<Outcome>,
}

/// A call with all its attempts.
#[derive(Clone, Debug)]
pub struct Call {
    pub number: usize,
    pub what: What,
    pub request_id: String,
    pub attempts: Vec<Attempt>,
}

/// A version of a vault secret, as it was when something of it changed.
#[derive(Clone, Debug)]
pub struct Version {
    pub name: String,
    pub id: String,
    pub sequence: u64,
    pub value: String,
    pub tag: Option<String>,
    pub enabled: bool,
}

/// A change of the vault.
#[derive(Clone, Debug)]
pub enum VaultChange {
    Version(Version),
    Deleted(String),
    Recovered(String),
    Purged(String),
}

/// A Kubernetes Secret after a change of it.
#[derive(Clone, Debug, Default)]
pub struct EdgeSecret {
    pub name: String,
    /// The uid that Kubernetes gave it.
    pub uid: String,
    /// The uid of the synced secret that it says it is of.
    pub ours: Option<String>,
    pub data: BTreeMap<String, Vec<u8>>,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    pub finalizers: Vec<String>,
    pub removed: bool,
    /// Whether somebody else than the service made this change.
    pub by_others: bool,
    /// Whether it has owners, and none of them is there: the garbage collector removes it.
    pub owners_are_gone: bool,
}

/// Everything that happened, in its order.
pub struct Ledger {
    place: AtomicU64,
    now: Box<dyn Fn() -> Duration + Send + Sync>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
pub struct Inner {
    pub calls: Vec<Call>,
    pub vault: Vec<(Moment, VaultChange)>,
    pub edge: Vec<(Moment, EdgeSecret)>,
    /// What happened, in words, for who looks for a cause.
    pub trace: Vec<(Moment, String)>,
    /// When the service was killed.
    pub kills: Vec<Moment>,
    /// How many faults were ordered.
    pub faults: usize,
    /// What somebody saw who looked at one thing only, and should not have.
    pub wrong: Vec<String>,
    /// From when to when the cluster answered nothing at all.
    pub blackouts: Vec<(Moment, Moment)>,
    /// How long a call, or its answer, may be on its way.
    pub travel: Duration,
}

// === impl Ledger ===

impl Ledger {
    pub fn new(now: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Self { place: AtomicU64::new(0), now: Box::new(now), inner: Mutex::default() }
    }

    pub fn moment(&self) -> Moment {
        Moment { place: self.place.fetch_add(1, Ordering::Relaxed), time: (self.now)() }
    }

    pub fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub fn say(&self, text: impl Into<String>) {
        let mut inner = self.lock();
        let moment = self.moment();
        inner.trace.push((moment, text.into()));
    }

    pub fn call(&self, what: What, request_id: String) -> usize {
        let mut inner = self.lock();
        let number = inner.calls.len();
        inner.calls.push(Call { number, what, request_id, attempts: Vec::new() });
        number
    }

    pub fn begin(&self, call: usize, wait: Duration, deadline: Duration) -> usize {
        let mut inner = self.lock();
        let begin = self.moment();
        let what =
            format!("call {call} begins: {:?}, wait {wait:?}, deadline {deadline:?}", inner.calls[call].what);
        inner.trace.push((begin, what));
        let attempts = &mut inner.calls[call].attempts;
        attempts.push(Attempt { begin, end: None, wait, deadline, outcome: None });
        attempts.len() - 1
    }

    pub fn end(&self, call: usize, attempt: usize, outcome: Outcome) {
        let mut inner = self.lock();
        let end = self.moment();
        inner.trace.push((end, format!("call {call} ends: {}", outcome.brief())));
        let attempt = &mut inner.calls[call].attempts[attempt];
        attempt.end = Some(end);
        attempt.outcome = Some(outcome);
    }

    pub fn vault_changed(&self, change: VaultChange) {
        let mut inner = self.lock();
        let moment = self.moment();
        inner.trace.push((moment, format!("the vault: {change:?}")));
        inner.vault.push((moment, change));
    }

    pub fn edge_changed(&self, secret: EdgeSecret) {
        let mut inner = self.lock();
        let moment = self.moment();
        inner.trace.push((moment, format!("the edge: {}", secret.brief())));
        inner.edge.push((moment, secret));
    }
}

// === impl Outcome ===

impl Outcome {
    pub fn of(answer: Result<Answer, Status>) -> Self {
        let status = match answer {
            Ok(answer) => return Self::Ok(answer),
            Err(status) => status,
        };
        let (code, message) = (status.code(), status.message().to_owned());
        match code {
            Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::Aborted
            | Code::FailedPrecondition
            | Code::PermissionDenied
            | Code::Unauthenticated
            | Code::OutOfRange => {
                let reason = status.get_details_error_info().map(|info| info.reason).unwrap_or_default();
                Self::Refused { code, reason, message }
            }
            _ => Self::Unknown { code, message },
        }
    }

    fn brief(&self) -> String {
        match self {
            Self::Ok(Answer::Synced(secret)) => format!(
                "OK {} uid {} generation {} (synced {}) {:?} {}",
                secret.name,
                secret.uid,
                secret.generation,
                secret.synced_generation,
                secret.state(),
                synced_reason(secret)
            ),
            Self::Ok(Answer::VaultSecret(secret)) => format!("OK {}", secret.name),
            Self::Ok(Answer::Version(version)) => format!("OK {}", version.name),
            Self::Refused { code, reason, message } => format!("{code:?} {reason}: {message}"),
            Self::Unknown { code, message } => format!("{code:?}: {message}"),
        }
    }
}

// === impl Call ===

impl Call {
    /// The first attempt that was answered OK.
    pub fn ok(&self) -> Option<(&Attempt, &Answer)> {
        self.attempts.iter().filter(|attempt| attempt.end.is_some()).find_map(|attempt| {
            match &attempt.outcome {
                Some(Outcome::Ok(answer)) => Some((attempt, answer)),
                _ => None,
            }
        })
    }

    /// Whether it may have had an effect.
    pub fn may_have_worked(&self) -> bool {
        self.attempts.iter().any(|attempt| !matches!(attempt.outcome, Some(Outcome::Refused { .. })))
            || self.creates()
    }

    /// Whether it brings values for the vault: then a refusal may leave a part of its effect, for a retry to go on from.
    pub fn creates(&self) -> bool {
        let creates =
            |references: &[Reference]| references.iter().any(|reference| reference.create.is_some());
        match &self.what {
            What::Create { references, .. } => creates(references),
            What::Update { references, .. } => references.as_deref().is_some_and(creates),
            _ => false,
        }
    }

    pub fn begin(&self) -> Moment {
        self.attempts[0].begin
    }

    /// After this it has no effect any more; absent where nobody can tell.
    pub fn end(&self) -> Option<Moment> {
        match self.ok() {
            Some((attempt, _)) => attempt.end,
            None => None,
        }
    }

    /// The synced secret that it changes.
    pub fn synced_secret(&self) -> Option<&str> {
        match &self.what {
            What::Create { id, .. }
            | What::Update { id, .. }
            | What::Sync { id }
            | What::Delete { id }
            | What::Adopt { id } => Some(id),
            What::CreateVaultSecret { .. } | What::AddVersion { .. } => None,
        }
    }
}

impl EdgeSecret {
    fn brief(&self) -> String {
        let data: Vec<_> = self
            .data
            .iter()
            .map(|(key, value)| format!("{key}={}", String::from_utf8_lossy(value)))
            .collect();
        let (what, who) = (
            if self.removed { "removed" } else { "is" },
            if self.by_others { "by others" } else { "by the service or a controller" },
        );
        format!(
            "{} {what} uid {} of {:?} [{}] finalizers {:?} {who}",
            self.name,
            self.uid,
            self.ours.as_deref().unwrap_or("nobody"),
            data.join(", "),
            self.finalizers
        )
    }
}

/// The reason of the `Synced` condition.
pub fn synced_reason(secret: &SyncedSecret) -> &str {
    let synced = secret.conditions.iter().find(|condition| condition.r#type == "Synced");
    synced.map(|condition| condition.reason.as_str()).unwrap_or_default()
}
