//! The known usages in memory, and the gaps in them.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fmt,
    ops::Bound,
    sync::Arc,
    time::Duration,
};

use tokio::time::Instant;

use super::{
    EdgeError,
    list::{Controller, Listing, Named},
};
use crate::{
    explain::Explain,
    model::{ClassRef, GroupKind, Output, Usage, UsagePlace},
};

/// All known usages, and which kinds and groups were listed.
pub(super) struct Known {
    /// In the order of pages: by secret, then by what uses it.
    all: BTreeMap<UsagePlace, Arc<Usage>>,
    groups: BTreeMap<String, ListState>,
    kinds: BTreeMap<GroupKind, Kind>,
    /// Kinds that used something before the start and that the cluster has not served since then.
    expected: BTreeMap<String, Expected>,
    /// Since when every discovery has not shown the Instances, and whether they may still come.
    instances_missing: Option<(Instant, bool)>,
    /// Secrets whose usages have changed since the consumer last took them.
    pub changed: HashSet<String>,
}

/// A kind that the cluster serves.
#[derive(Default)]
struct Kind {
    list: ListState,
    /// The usages in each resource.
    resources: HashMap<String, Vec<UsagePlace>>,
    /// The outputs of each resource that has any.
    outputs: HashMap<String, Vec<Output>>,
    /// The default classes that each resource names, if it names any.
    classes: HashMap<String, Vec<ClassRef>>,
    /// The workload that controls each resource that uses something, if one does.
    controllers: HashMap<String, Controller>,
    /// Since when the cluster has not served it.
    missing_since: Option<Instant>,
}

/// A kind of which only the name is known.
#[derive(Default)]
struct Expected {
    list: ListState,
    missing_since: Option<Instant>,
}

/// Whether a kind or group was listed.
struct ListState {
    /// When it was discovered.
    found: Instant,
    /// Whether it was listed at least once.
    once: bool,
    /// Why it can't be listed now, and since when.
    trouble: Option<(EdgeError, Instant)>,
}

/// A kind or group that may contain unknown usages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// `KIND.GROUP`, or the group if its kinds are unknown.
    pub what: String,
    /// The group.
    pub group: String,
    /// Why it can't be listed. None if the first list is still in progress.
    pub error: Option<EdgeError>,
}

/// What the Instances say about the default class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClassRefs {
    /// They are not listed yet.
    Pending,
    /// Those that they name.
    Listed(Vec<ClassRef>),
    /// They can't be listed.
    Unlisted(Gap),
}

// === impl Known ===

impl Known {
    /// Knows nothing about these groups yet.
    pub fn nothing_of(groups: BTreeSet<&str>) -> Self {
        let groups = groups.into_iter().map(|group| (group.to_owned(), ListState::default())).collect();
        let (all, kinds, expected) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { all, groups, kinds, expected, instances_missing: None, changed: HashSet::new() }
    }

    /// Programs use these secrets under fixed names.
    pub fn add_fixed(&mut self, usages: Vec<Usage>) {
        for usage in usages {
            self.changed.insert(usage.secret.clone());
            self.all.insert(usage.place(), Arc::new(usage));
        }
    }

    /// Resources of these kinds used something before the start.
    pub fn expect(&mut self, kinds: BTreeSet<String>) {
        self.expected = kinds.into_iter().map(|kind| (kind, Expected::default())).collect();
    }

    /// Whether an expected kind is still missing.
    pub fn is_expecting(&self) -> bool {
        !self.expected.is_empty() || self.may_instances_come()
    }

    fn may_instances_come(&self) -> bool {
        self.instances_missing.is_some_and(|(_, may_come)| may_come)
    }

    /// All groups were discovered. Expected kinds that have been missing for `patience` count as gone.
    pub fn all_groups_discovered(&mut self, patience: Duration) {
        self.expected
            .retain(|_, kind| kind.missing_since.get_or_insert_with(Instant::now).elapsed() < patience);
    }

    fn of_secret<'a>(
        &'a self,
        secret: &'a str,
        after: Bound<UsagePlace>,
    ) -> impl Iterator<Item = &'a Arc<Usage>> {
        let range = self.all.range((after, Bound::Unbounded)).map(|(_, usage)| usage);
        range.take_while(move |usage| usage.secret == secret).filter(|usage| self.is_shown(usage))
    }

    /// Whether no workload that controls the resource has the same use: after a change of its template it may not.
    fn is_shown(&self, usage: &Usage) -> bool {
        let of_controller = || {
            let Controller { kind, name } =
                self.kinds.get(&usage.group_kind)?.controllers.get(&usage.resource)?;
            self.kinds.get(kind)?.resources.get(name)
        };
        let mut places = of_controller().into_iter().flatten();
        !places.any(|place| {
            place.secret == usage.secret
                && self.all.get(place).is_some_and(|other| other.needs == usage.needs)
        })
    }

    pub fn of(&self, secret: &str) -> Vec<Arc<Usage>> {
        self.of_secret(secret, first_of(secret)).cloned().collect()
    }

    pub fn page(
        &self,
        secret: Option<&str>,
        after: Option<&UsagePlace>,
        limit: usize,
        wanted: impl Fn(&Usage) -> bool,
    ) -> Vec<Arc<Usage>> {
        let after = after.cloned().map(Bound::Excluded);
        let wanted = |usage: &&Arc<Usage>| wanted(usage);
        match secret {
            Some(secret) => {
                let after = after.unwrap_or_else(|| first_of(secret));
                self.of_secret(secret, after).filter(wanted).take(limit).cloned().collect()
            }
            None => {
                let range = self.all.range((after.unwrap_or(Bound::Unbounded), Bound::Unbounded));
                range
                    .map(|(_, usage)| usage)
                    .filter(|usage| self.is_shown(usage))
                    .filter(wanted)
                    .take(limit)
                    .cloned()
                    .collect()
            }
        }
    }

    /// A field that says that another program writes this secret.
    pub fn output(&self, secret: &str) -> Option<&Output> {
        let mut outputs = self.kinds.values().flat_map(|kind| kind.outputs.values()).flatten();
        outputs.find(|output| output.secret == secret)
    }

    /// The default classes that Instances name.
    pub fn class_refs(&self, grace: Duration) -> ClassRefs {
        let instance = ClassRef::group_kind();
        let kind = self.kinds.get(&instance);
        let lists = self.groups.get(&instance.group).into_iter().chain(kind.map(|kind| &kind.list));
        let Some(open) = lists.into_iter().find(|list| !list.once) else {
            if self.may_instances_come() {
                return ClassRefs::Pending;
            }
            let classes = kind.into_iter().flat_map(|kind| kind.classes.values()).flatten();
            return ClassRefs::Listed(classes.cloned().collect::<BTreeSet<_>>().into_iter().collect());
        };
        match &open.trouble {
            Some((error, since)) if is_for_good(error) || since.elapsed() > grace => {
                ClassRefs::Unlisted(Gap {
                    what: instance.to_string(),
                    group: instance.group,
                    error: Some(error.clone()),
                })
            }
            _ => ClassRefs::Pending,
        }
    }

    /// A kind or group that was never listed.
    pub fn unlisted(&self) -> Option<Gap> {
        self.gap_where(|list| !list.once)
    }

    /// A kind or group that only a person can fix, or whose list is overdue by `grace`.
    pub fn gap(&self, grace: Duration) -> Option<Gap> {
        self.gap_where(|list| list.is_overdue(grace))
    }

    /// All of these.
    pub fn gaps(&self, grace: Duration) -> Vec<Gap> {
        self.gaps_where(|list| list.is_overdue(grace))
    }

    fn gap_where(&self, is_open: impl Fn(&ListState) -> bool) -> Option<Gap> {
        // Transient gaps come first: while one exists, nobody knows whether the permanent ones are the only
        // ones.
        self.gaps_where(is_open).into_iter().min_by_key(Gap::is_for_good)
    }

    fn gaps_where(&self, is_open: impl Fn(&ListState) -> bool) -> Vec<Gap> {
        // The group of Pods has no name.
        let name = |group: &String| if group.is_empty() { "Pod".to_owned() } else { group.clone() };
        let groups = self.groups.iter().map(|(group, list)| (name(group), group, list));
        let kinds = self.kinds.iter().map(|(kind, known)| (kind.to_string(), &kind.group, &known.list));
        let nameless = String::new();
        let expected = self.expected.iter().map(|(kind, expected)| (kind.clone(), &nameless, &expected.list));
        let open = groups.chain(kinds).chain(expected).filter(|(.., list)| is_open(list));
        let gap = |(what, group, list): (String, &String, &ListState)| {
            let error = list.trouble.as_ref().map(|(error, _)| error.clone());
            Gap { what, group: group.clone(), error }
        };
        open.map(gap).collect()
    }

    /// The kinds of a group can't be discovered. Returns whether the error is new.
    pub fn group_failed(&mut self, group: &str, error: EdgeError) -> bool {
        self.groups.entry(group.to_owned()).or_default().fail(error)
    }

    /// The cluster serves exactly these kinds of a group. Returns the kinds that are gone.
    ///
    /// A known kind is gone when it has been missing for `patience`: an API server that has just started does
    /// not serve custom resources yet, and their usages must not be forgotten because of that.
    pub fn group_discovered(
        &mut self,
        group: &str,
        served: &BTreeSet<GroupKind>,
        patience: Duration,
    ) -> BTreeSet<GroupKind> {
        self.groups.entry(group.to_owned()).or_default().succeed();
        let instance = ClassRef::group_kind();
        if instance.group == group {
            let since = self.instances_missing.map_or_else(Instant::now, |(since, _)| since);
            let is_served = served.contains(&instance);
            self.instances_missing = (!is_served).then(|| (since, since.elapsed() < patience));
        }
        let mut gone = BTreeSet::new();
        for (kind, known) in self.kinds.iter_mut().filter(|(kind, _)| kind.group == group) {
            if served.contains(kind) {
                known.missing_since = None;
            } else if known.missing_since.get_or_insert_with(Instant::now).elapsed() >= patience {
                gone.insert(kind.clone());
            }
        }
        gone.iter().for_each(|kind| self.remove_kind(kind));
        for kind in served {
            self.expected.remove(&kind.kind);
            self.kinds.entry(kind.clone()).or_default();
        }
        gone
    }

    /// A kind can't be watched. Returns whether the error is new.
    pub fn kind_failed(&mut self, kind: &GroupKind, error: EdgeError) -> bool {
        self.kinds.get_mut(kind).is_some_and(|known| known.list.fail(error))
    }

    /// All resources of a kind were listed.
    pub fn kind_listed(&mut self, kind: &GroupKind, mut listed: Listing) {
        let Some(known) = self.kinds.get_mut(kind) else { return };
        known.list.succeed();
        let before = known.resources.keys().chain(known.outputs.keys()).chain(known.classes.keys());
        let before = before.cloned().collect::<Vec<_>>();
        for name in before {
            listed.entry(name).or_default();
        }
        for (name, named) in listed {
            self.resource_changed(kind, &name, named);
        }
    }

    /// A resource names these secrets now; none if it was deleted.
    pub fn resource_changed(&mut self, kind: &GroupKind, name: &str, named: Named) {
        let Some(known) = self.kinds.get_mut(kind) else { return };
        let Named { usages, outputs, classes, controller } = named;
        let outputs_before = keep(&mut known.outputs, name, outputs.clone()).unwrap_or_default();
        if outputs_before != outputs {
            self.changed.extend(outputs_before.into_iter().chain(outputs).map(|output| output.secret));
        }
        keep(&mut known.classes, name, classes);
        let controller = controller.filter(|_| !usages.is_empty());
        if known.controllers.get(name) != controller.as_ref() {
            self.changed.extend(usages.iter().map(|usage| usage.secret.clone()));
        }
        match controller {
            Some(controller) => known.controllers.insert(name.to_owned(), controller),
            None => known.controllers.remove(name),
        };
        let places: Vec<UsagePlace> = usages.iter().map(Usage::place).collect();
        let before = keep(&mut known.resources, name, places);
        let mut before: BTreeMap<UsagePlace, Arc<Usage>> =
            before.into_iter().flatten().filter_map(|place| self.all.remove_entry(&place)).collect();
        for usage in usages {
            let place = usage.place();
            if before.remove(&place).as_deref() != Some(&usage) {
                self.changed.insert(place.secret.clone());
            }
            self.all.insert(place, Arc::new(usage));
        }
        self.changed.extend(before.into_keys().map(|place| place.secret));
    }

    /// Removes a kind with its resources.
    fn remove_kind(&mut self, kind: &GroupKind) {
        let Some(known) = self.kinds.remove(kind) else { return };
        self.changed.extend(known.outputs.into_values().flatten().map(|output| output.secret));
        for place in known.resources.into_values().flatten() {
            self.all.remove(&place);
            self.changed.insert(place.secret);
        }
    }
}

impl Default for ListState {
    fn default() -> Self {
        Self { found: Instant::now(), once: false, trouble: None }
    }
}

impl ListState {
    /// Only a person can fix it, or it is overdue by `grace`.
    fn is_overdue(&self, grace: Duration) -> bool {
        match &self.trouble {
            Some((error, since)) => is_for_good(error) || since.elapsed() > grace,
            None => !self.once && self.found.elapsed() > grace,
        }
    }

    fn succeed(&mut self) {
        (self.once, self.trouble) = (true, None);
    }

    fn fail(&mut self, error: EdgeError) -> bool {
        let (before, since) = self.trouble.take().unzip();
        let is_news = before.as_ref() != Some(&error);
        self.trouble = Some((error, since.unwrap_or_else(Instant::now)));
        is_news
    }
}

/// Replaces what a resource has, and returns what it had. A resource that has nothing takes no memory.
fn keep<T>(all: &mut HashMap<String, Vec<T>>, name: &str, new: Vec<T>) -> Option<Vec<T>> {
    match new.is_empty() {
        true => all.remove(name),
        false => all.insert(name.to_owned(), new),
    }
}

fn is_for_good(error: &EdgeError) -> bool {
    matches!(error, EdgeError::Forbidden(_) | EdgeError::Rejected(_))
}

fn first_of(secret: &str) -> Bound<UsagePlace> {
    Bound::Included(UsagePlace { secret: secret.to_owned(), ..UsagePlace::default() })
}

// === impl Gap ===

impl Gap {
    /// Whether only a person can fix it, so that waiting does not help.
    pub fn is_for_good(&self) -> bool {
        self.error.as_ref().is_some_and(is_for_good)
    }
}

impl Explain for Gap {
    fn remedy(&self) -> String {
        match &self.error {
            None => "Retry in a few seconds.".to_owned(),
            Some(EdgeError::Forbidden(_)) => format!(
                "Grant the service account the verbs {} on all resources of {} in its namespace (see \
                 deploy/manifests).",
                super::USAGE_VERBS.join(" and "),
                super::access::named(&self.group)
            ),
            Some(error) => error.remedy(),
        }
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.error {
            None => write!(f, "{} was not listed yet", self.what),
            Some(error) => write!(f, "{} can't be listed: {error}", self.what),
        }
    }
}

#[cfg(test)]
mod tests;
