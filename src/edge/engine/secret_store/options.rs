//! The extension's access to the vault: configured, or read from the class that the instance was set up with.

use std::{sync::Arc, time::Duration};

use kube::ResourceExt;

use super::{ExtensionIdentity, PROVIDER, ProviderCloud, SecretProviderClass};
use crate::{
    edge::{ClassRefs, EdgeError, manifest::uid_label},
    model::ClassRef,
    quote::Quote,
};

/// The names of the classes that `az iot ops secretsync enable` makes: this, and seven hex digits. They count
/// where no Instance names its default class.
const DEFAULT_CLASS: &str = "spc-ops-";

/// The engine's settings.
#[derive(Clone, Debug)]
pub struct Options {
    /// The service account that the extension uses for the vault.
    pub service_account: String,
    /// The identity that is federated with it; that of the instance's default class where absent.
    pub client_id: Option<String>,
    /// Its tenant; if absent, that of the instance's default class.
    pub tenant_id: Option<String>,
    /// The vault's name: the first label of its host.
    pub vault_name: String,
    /// The vault's cloud.
    pub cloud: ProviderCloud,
    /// How long the extension may take to answer a change before that is reported as a problem.
    pub patience: Duration,
    /// Whether certificates are read from the Secrets that the extension wrote, to tell what they are.
    pub read_certificates: bool,
}

/// What `az iot ops secretsync enable` sets up.
impl Default for Options {
    fn default() -> Self {
        Self {
            service_account: "aio-ssc-sa".to_owned(),
            client_id: None,
            tenant_id: None,
            vault_name: String::new(),
            cloud: ProviderCloud::Default,
            patience: Duration::from_secs(30),
            read_certificates: false,
        }
    }
}

/// The class that the instance was set up with.
pub struct DefaultClass {
    class: Arc<SecretProviderClass>,
    /// Why it is that class: half a sentence.
    pub why: String,
}

impl Options {
    /// The identity that the extension uses for the vault. `classes` are those of the namespace, `named` the
    /// ones that its Instances name.
    pub fn identity(
        &self,
        classes: &[Arc<SecretProviderClass>],
        named: &ClassRefs,
    ) -> Result<ExtensionIdentity, EdgeError> {
        let default = self.default_class(classes, named)?;
        let setting = |configured: &Option<String>, parameter: &str, setting: &'static str| {
            let from_class = || Some(default.as_ref()?.class.spec.parameters.get(parameter)?.clone());
            configured.clone().or_else(from_class).ok_or(EdgeError::SettingMissing { setting })
        };
        if self.cloud == ProviderCloud::Unknown {
            return Err(EdgeError::CloudUnknown);
        }
        Ok(ExtensionIdentity {
            service_account: self.service_account.clone(),
            client_id: setting(&self.client_id, "clientID", "secret_store.client_id")?,
            tenant_id: setting(&self.tenant_id, "tenantID", "secret_store.tenant_id")?,
            vault_name: self.vault_name.clone(),
            cloud: self.cloud.clone(),
        })
    }

    /// The class that the instance was set up with; none if there is none, or if the configuration makes it
    /// irrelevant. An error if several could be it: a wrong identity is worse than none.
    pub fn default_class(
        &self,
        classes: &[Arc<SecretProviderClass>],
        named: &ClassRefs,
    ) -> Result<Option<DefaultClass>, EdgeError> {
        if self.client_id.is_some() && self.tenant_id.is_some() {
            return Ok(None);
        }
        match named {
            ClassRefs::Pending => {
                Err(EdgeError::Unreachable("the Instances of the namespace are not listed yet".into()))
            }
            ClassRefs::Listed(named) => match named.split_first() {
                Some((first, others)) => self.named_class(classes, first, others).map(Some),
                None => self.class_by_name(classes, "no Instance names a default class"),
            },
            ClassRefs::Unlisted(gap) => {
                self.class_by_name(classes, &format!("what the Instances name is not known, because {gap}"))
            }
        }
    }

    /// The class that Instances name.
    fn named_class(
        &self,
        classes: &[Arc<SecretProviderClass>],
        first: &ClassRef,
        others: &[ClassRef],
    ) -> Result<DefaultClass, EdgeError> {
        let says = |said: &ClassRef| {
            let (instance, class) = (Quote::from(&said.resource), Quote::from(&said.class));
            format!("the Instance {instance:?} names the class {class:?} ({})", said.field)
        };
        let unclear = |why: String| EdgeError::DefaultClass(why);
        let first_says = says(first);
        if let Some(other) = others.iter().find(|other| !other.class.eq_ignore_ascii_case(&first.class)) {
            return Err(unclear(format!("{first_says}, but {}", says(other))));
        }
        // An ARM id may spell the name in another case.
        let is_it = |class: &&Arc<SecretProviderClass>| class.name_any().eq_ignore_ascii_case(&first.class);
        let Some(class) = classes.iter().find(is_it) else {
            return Err(unclear(format!("{first_says}, which does not exist")));
        };
        if is_ours(class) {
            return Err(unclear(format!("{first_says}, which this service made for a synced secret")));
        }
        if !self.leads_to_vault(class) {
            let vault = &self.vault_name;
            return Err(unclear(format!("{first_says}, which does not lead to the Key Vault {vault}")));
        }
        Ok(DefaultClass { class: class.clone(), why: first_says })
    }

    /// The class whose name has the form that `az iot ops secretsync enable` uses.
    fn class_by_name(
        &self,
        classes: &[Arc<SecretProviderClass>],
        because: &str,
    ) -> Result<Option<DefaultClass>, EdgeError> {
        let mut candidates: Vec<_> = classes.iter().filter(|class| self.is_default_by_name(class)).collect();
        candidates.sort_by_key(|class| class.name_any());
        let names = candidates.iter().map(|class| class.name_any()).collect::<Vec<_>>().join(" and ");
        let Some((first, others)) = candidates.split_first() else { return Ok(None) };
        let identity = |class: &SecretProviderClass| {
            ["clientID", "tenantID"].map(|parameter| class.spec.parameters.get(parameter).cloned())
        };
        if others.iter().any(|other| identity(other) != identity(first)) {
            let why = format!("{names} have different identities for the same vault, and {because}");
            return Err(EdgeError::DefaultClass(why));
        }
        let why = format!("{names} has the name of a default class, and {because}");
        Ok(Some(DefaultClass { class: Arc::clone(first), why }))
    }

    fn is_default_by_name(&self, class: &SecretProviderClass) -> bool {
        let is_hex = |rest: &str| rest.len() == 7 && rest.bytes().all(|byte| byte.is_ascii_hexdigit());
        class.name_any().strip_prefix(DEFAULT_CLASS).is_some_and(is_hex)
            && !is_ours(class)
            && self.leads_to_vault(class)
    }

    fn leads_to_vault(&self, class: &SecretProviderClass) -> bool {
        let vault = class.spec.parameters.get("keyvaultName");
        class.spec.provider == PROVIDER
            && vault.is_some_and(|name| name.trim().eq_ignore_ascii_case(&self.vault_name))
    }
}

/// Whether a class carries the uid of a synced secret: its identity came from here.
fn is_ours(class: &SecretProviderClass) -> bool {
    uid_label(&class.metadata).is_some()
}

#[cfg(test)]
mod tests {
    use super::{super::resources::SecretProviderClassSpec, *};
    use crate::{edge::Gap, edge::UID_LABEL, explain::Explain};

    const NOBODY: ClassRefs = ClassRefs::Listed(Vec::new());

    fn options() -> Options {
        Options { vault_name: "contoso-aio".to_owned(), ..Options::default() }
    }

    fn class(name: &str, vault: &str, client: &str) -> Arc<SecretProviderClass> {
        let parameters = [("keyvaultName", vault), ("clientID", client), ("tenantID", "tenant")];
        let parameters = parameters.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let spec = SecretProviderClassSpec { provider: "azure".to_owned(), parameters };
        Arc::new(SecretProviderClass::new(name, spec))
    }

    fn our_class(name: &str, client: &str) -> Arc<SecretProviderClass> {
        let mut class = class(name, "contoso-aio", client);
        let label = (UID_LABEL.to_owned(), uuid::Uuid::new_v4().to_string());
        Arc::make_mut(&mut class).metadata.labels = Some([label].into());
        class
    }

    fn named(classes: &[&str]) -> ClassRefs {
        let one = |class: &&str| ClassRef {
            resource: "aio".to_owned(),
            field: "spec.defaultSecretProviderClassRef.name".to_owned(),
            class: (*class).to_owned(),
        };
        ClassRefs::Listed(classes.iter().map(one).collect())
    }

    #[test]
    fn the_vault_identity_is_configured_or_read_from_the_default_class() {
        let classes = [
            class("spc-ops-0000000", "another", "wrong"),
            class("opc-ua-connector", "contoso-aio", "wrong"),
            class("spc-ops-1a2b3c4", "Contoso-AIO", "right"),
        ];
        let access = options().identity(&classes, &NOBODY).unwrap();
        assert_eq!((access.client_id.as_str(), access.tenant_id.as_str()), ("right", "tenant"));
        let configured = Options { client_id: Some("own".to_owned()), ..options() };
        assert_eq!(configured.identity(&classes, &NOBODY).unwrap().client_id, "own");
    }

    #[test]
    fn the_class_that_the_instance_names_is_the_default_whatever_its_name() {
        let classes =
            [class("spc-ops-1a2b3c4", "contoso-aio", "wrong"), class("contoso", "contoso-aio", "right")];
        for refs in [named(&["contoso"]), named(&["CONTOSO", "contoso"])] {
            assert_eq!(options().identity(&classes, &refs).unwrap().client_id, "right");
        }
        let default = options().default_class(&classes, &named(&["contoso"])).unwrap().unwrap();
        assert!(default.why.contains("the Instance \"aio\" names the class \"contoso\""), "{}", default.why);
    }

    #[test]
    fn a_name_is_a_default_only_in_the_form_of_the_tool_and_if_the_class_is_not_ours() {
        for name in ["spc-ops-1a2b3", "spc-ops-1a2b3c4d", "spc-ops-1a2b3cx", "spc-ops-", "my-spc-ops-1a2b3c4"]
        {
            let missing = options().identity(&[class(name, "contoso-aio", "wrong")], &NOBODY).unwrap_err();
            assert!(matches!(missing, EdgeError::SettingMissing { .. }), "{name}: {missing}");
        }
        let ours = our_class("spc-ops-0000000", "wrong");
        let classes = [ours.clone(), class("spc-ops-1a2b3c4", "contoso-aio", "right")];
        assert_eq!(options().identity(&classes, &NOBODY).unwrap().client_id, "right");
        assert!(options().identity(&[ours], &NOBODY).is_err());
    }

    #[test]
    fn a_default_that_is_not_certain_is_told_and_not_chosen() {
        let good = class("spc-ops-1a2b3c4", "contoso-aio", "a");
        let classes = [
            good.clone(),
            class("spc-ops-0000000", "contoso-aio", "b"),
            class("elsewhere", "fabrikam", "c"),
            our_class("pump-7", "d"),
        ];
        for (refs, words) in [
            (NOBODY, ["spc-ops-0000000 and spc-ops-1a2b3c4", "no Instance names"]),
            (
                named(&["spc-ops-1a2b3c4", "elsewhere"]),
                ["names the class \"spc-ops-1a2b3c4\"", "but the Instance"],
            ),
            (named(&["gone"]), ["\"gone\"", "does not exist"]),
            (named(&["elsewhere"]), ["\"elsewhere\"", "Key Vault contoso-aio"]),
            (named(&["pump-7"]), ["\"pump-7\"", "this service made"]),
        ] {
            let unclear = options().identity(&classes, &refs).unwrap_err();
            assert!(matches!(unclear, EdgeError::DefaultClass(_)), "{unclear}");
            for word in words.into_iter().chain(["secret_store.client_id"]) {
                assert!(unclear.explained().contains(word), "{}", unclear.explained());
            }
            let configured =
                Options { client_id: Some("own".to_owned()), tenant_id: Some("own".to_owned()), ..options() };
            assert_eq!(configured.identity(&classes, &refs).unwrap().client_id, "own");
        }
        let twins = [good, class("spc-ops-0000000", "contoso-aio", "a")];
        assert_eq!(options().identity(&twins, &NOBODY).unwrap().client_id, "a", "they agree");
    }

    #[test]
    fn nothing_is_chosen_before_the_instances_are_listed_and_what_cant_be_listed_is_told() {
        let classes = [class("spc-ops-1a2b3c4", "contoso-aio", "right")];
        let pending = options().identity(&classes, &ClassRefs::Pending).unwrap_err();
        assert!(pending.is_transient(), "{pending}");
        let (what, group) = ("Instance.iotoperations.azure.com".to_owned(), String::new());
        let unlisted =
            ClassRefs::Unlisted(Gap { what, group, error: Some(EdgeError::Forbidden("no".into())) });
        assert_eq!(options().identity(&classes, &unlisted).unwrap().client_id, "right");
        let default = options().default_class(&classes, &unlisted).unwrap().unwrap();
        assert!(default.why.contains("Instance.iotoperations.azure.com can't be listed"), "{}", default.why);
    }

    #[test]
    fn nothing_is_written_for_a_custom_cloud_that_no_file_describes() {
        let classes = [class("spc-ops-1a2b3c4", "contoso-aio", "right")];
        let unknown = Options { cloud: ProviderCloud::Unknown, ..options() };
        let missing = unknown.identity(&classes, &NOBODY).unwrap_err();
        assert!(missing.explained().contains("secret_store.cloud_env_file"), "{}", missing.explained());
        let file = ProviderCloud::File("/cloud/env.json".to_owned());
        assert!(Options { cloud: file, ..options() }.identity(&classes, &NOBODY).is_ok());
    }

    #[test]
    fn a_missing_value_is_reported_with_the_setting_to_set() {
        let missing = options().identity(&[], &NOBODY).unwrap_err();
        assert!(missing.to_string().contains("secret_store.client_id"), "{missing}");
        let half =
            Options { client_id: Some("own".to_owned()), ..options() }.identity(&[], &NOBODY).unwrap_err();
        assert!(half.to_string().contains("secret_store.tenant_id"), "{half}");
    }
}
