//! Checks types, labels and names against the admission rules of the model. What is already recorded is not
//! checked again.

use std::collections::BTreeMap;

use super::{Cause, Error, NewSyncedSecret, Problem, Secrets};
use crate::model::{SecretType, SyncedSecretId};

impl Secrets {
    /// Refuses a new synced secret whose name, type or labels are not admitted.
    pub(super) fn check_admitted(&self, new: &NewSyncedSecret) -> Result<(), Error> {
        let admission = &self.0.admission;
        let secret_type = admission.check_type(&new.secret_type).err();
        let labels = admission.check_labels(&new.labels).err();
        let mut problems: Vec<Problem> = self.foreign_name("synced_secret_id", &new.id).into_iter().collect();
        problems.extend(secret_type.map(|error| Problem::invalid("secret_type", error)));
        problems.extend(labels.map(|error| Problem::invalid("labels", error)));
        Error::refuse(problems)
    }

    /// Refuses to adopt a Secret whose type or labels are not admitted.
    pub(super) fn check_adoptable(
        &self,
        secret_type: Option<&SecretType>,
        labels: &BTreeMap<String, String>,
    ) -> Result<(), Error> {
        let admission = &self.0.admission;
        let secret_type = secret_type.and_then(|secret_type| admission.check_type(secret_type).err());
        let problems = secret_type.into_iter().chain(admission.check_labels(labels).err());
        Error::refuse(problems.map(|error| Problem::invalid("name", error)).collect())
    }

    /// Refuses labels that are not admitted, except those that were there before.
    pub(super) fn check_labels_added(
        &self,
        labels: &BTreeMap<String, String>,
        before: &BTreeMap<String, String>,
    ) -> Result<(), Error> {
        let is_new = |(key, value): &(&String, &String)| before.get(*key) != Some(*value);
        let added = labels.iter().filter(is_new).map(|(key, value)| (key.clone(), value.clone())).collect();
        self.0.admission.check_labels(&added).map_err(|error| Error::invalid("labels", error))
    }

    /// The problem with a name that belongs to another program, by configuration or because a resource says
    /// so; none if the name is free.
    pub(super) fn foreign_name(&self, field: &str, id: &SyncedSecretId) -> Option<Problem> {
        if let Some(owner) = self.0.admission.owner(id) {
            return Some(Problem::new(field, Cause::Reserved { id: id.clone(), owner: owner.to_owned() }));
        }
        let output = Box::new(self.0.reconciler.usages().output(id.as_str())?);
        Some(Problem::new(field, Cause::Output { id: id.clone(), output }))
    }
}
