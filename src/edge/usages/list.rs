//! Lists the resources themselves: a watch may lag behind, a list is current.

use std::collections::HashMap;

use futures::future::try_join_all;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Api, api::DynamicObject, core::ApiResource};

use super::{ClassRefs, EdgeError, Gap, Usages};
use crate::model::{ClassRef, GroupKind, Output, Subject, Usage, User, controls, is_idle, is_workload};

impl Usages {
    /// The current usages of a secret, from the API server, including kinds that were just installed.
    ///
    /// `users` are known to use the secret. If the API server does not serve one of their kinds, that is a
    /// gap: the API server may be starting, and the kind counts as gone only after a while.
    pub async fn list(&self, secret: &str, users: &[User]) -> Result<Vec<Usage>, Gap> {
        let mut kinds = Vec::new();
        for (group, served) in self.served().await {
            kinds.extend(served.map_err(|error| Gap { what: group.clone(), group, error: Some(error) })?);
        }
        let lists = kinds.iter().map(async |kind| {
            let gap = |error| Gap {
                what: group_kind(kind).to_string(),
                group: kind.group.clone(),
                error: Some(error),
            };
            Ok((&kind.kind, self.list_kind(kind, secret).await.map_err(gap)?))
        });
        let mut listed = try_join_all(lists).await?;
        listed.retain(|(_, uses)| uses.is_some());
        let fixed = self.0.options.rules.fixed(&self.0.edge.namespace);
        let is_listed = |user: &&User| {
            listed.iter().any(|(kind, _)| **kind == user.kind)
                || fixed.iter().any(|usage| usage.user() == **user)
        };
        if let Some(user) = users.iter().find(|user| !is_listed(user)) {
            return Err(Gap { what: user.kind.clone(), group: String::new(), error: None });
        }
        let uses: Vec<_> = listed.into_iter().filter_map(|(_, uses)| uses).flatten().collect();
        let is_of_controller = |(usage, controller): &(Usage, Option<Controller>)| {
            uses.iter().any(|(other, _)| {
                controller.as_ref().is_some_and(|controller| controller.is(other))
                    && other.needs == usage.needs
            })
        };
        let is_shown: Vec<_> = uses.iter().map(|usage| !is_of_controller(usage)).collect();
        let shown =
            uses.into_iter().zip(is_shown).filter_map(|((usage, _), is_shown)| is_shown.then_some(usage));
        let mut uses: Vec<Usage> = shown.collect();
        uses.extend(fixed.into_iter().filter(|usage| usage.secret == secret));
        uses.sort_by_cached_key(Usage::place);
        Ok(uses)
    }

    /// The usages in the resources of a kind, each with the workload that controls the resource; None if the kind
    /// is no longer served.
    async fn list_kind(
        &self,
        kind: &ApiResource,
        secret: &str,
    ) -> Result<Option<Vec<(Usage, Option<Controller>)>>, EdgeError> {
        let mut uses = Vec::new();
        let take = |object: DynamicObject| {
            let (_, Named { usages, controller, .. }) = self.names_in(kind, &object);
            let usages = usages.into_iter().filter(|usage| usage.secret == secret);
            uses.extend(usages.map(|usage| (usage, controller.clone())));
        };
        match self.0.edge.each(&self.api(kind), take).await {
            Ok(()) => Ok(Some(uses)),
            // The kind was removed between the two requests.
            Err(EdgeError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The default classes that Instances name, from the API server.
    pub async fn list_instances(&self) -> ClassRefs {
        let instance = ClassRef::group_kind();
        let unlisted = |error| {
            let (what, group) = (instance.to_string(), instance.group.clone());
            ClassRefs::Unlisted(Gap { what, group, error: Some(error) })
        };
        let served = match self.served_of(&instance.group).await {
            Ok(served) => served,
            Err(error) => return unlisted(error),
        };
        let mut classes = Vec::new();
        if let Some(kind) = served.iter().find(|kind| group_kind(kind) == instance) {
            let take = |object: DynamicObject| classes.extend(self.names_in(kind, &object).1.classes);
            match self.0.edge.each(&self.api(kind), take).await {
                Ok(()) | Err(EdgeError::NotFound(_)) => {}
                Err(error) => return unlisted(error),
            }
        }
        classes.sort();
        ClassRefs::Listed(classes)
    }

    pub(super) fn api(&self, kind: &ApiResource) -> Api<DynamicObject> {
        Api::namespaced_with(self.0.edge.client.clone(), &self.0.edge.namespace, kind)
    }

    /// The name of a resource and the secrets that it names. A resource that is being deleted still uses what
    /// it names.
    pub(super) fn names_in(&self, kind: &ApiResource, object: &DynamicObject) -> (String, Named) {
        let name = object.metadata.name.clone().unwrap_or_default();
        let rules = &self.0.options.rules;
        let is_controllable = is_workload(&kind.api_version, &kind.kind) && rules.cover_workloads();
        let controller = is_controllable.then(|| controller(&kind.kind, &object.metadata)).flatten();
        if controller.is_some() && is_idle(&kind.kind, &object.data) {
            return (name, Named::default());
        }
        let group_kind = group_kind(kind);
        let subject = Subject {
            api_version: &kind.api_version,
            group_kind: &group_kind,
            namespace: &self.0.edge.namespace,
            name: &name,
        };
        let (usages, outputs) =
            (rules.usages_of(subject, &object.data), rules.outputs_of(subject, &object.data));
        let classes = ClassRef::all_of(subject, &object.data);
        (name, Named { usages, outputs, classes, controller })
    }
}

/// The workload that controls an object, as a Deployment does its ReplicaSets and these their Pods: where that one has
/// the same use, it alone shows.
fn controller(kind: &str, metadata: &ObjectMeta) -> Option<Controller> {
    let mut owners = metadata.owner_references.iter().flatten();
    let owner = owners
        .find(|owner| owner.controller == Some(true) && controls(&owner.api_version, &owner.kind, kind))?;
    let group = owner.api_version.split_once('/').map_or("", |(group, _)| group).to_owned();
    Some(Controller { kind: GroupKind { group, kind: owner.kind.clone() }, name: owner.name.clone() })
}

pub(super) fn group_kind(kind: &ApiResource) -> GroupKind {
    GroupKind { group: kind.group.clone(), kind: kind.kind.clone() }
}

/// The secrets that a resource names.
#[derive(Default)]
pub(super) struct Named {
    /// Those it uses.
    pub usages: Vec<Usage>,
    /// Those that another program writes for it.
    pub outputs: Vec<Output>,
    /// The default classes that it names.
    pub classes: Vec<ClassRef>,
    /// The workload that controls it.
    pub controller: Option<Controller>,
}

/// A workload that controls others.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Controller {
    pub kind: GroupKind,
    pub name: String,
}

impl Controller {
    /// Whether this is a usage of that workload.
    fn is(&self, usage: &Usage) -> bool {
        usage.group_kind == self.kind && usage.resource == self.name
    }
}

/// The resources of a list in progress, and what each names.
pub(super) type Listing = HashMap<String, Named>;
