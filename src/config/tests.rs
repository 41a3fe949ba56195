//! Tests of the configuration.

use super::*;

const VAULT: (&str, &str) = ("SECRET_SERVICE_VAULT_URI", "https://contoso.vault.azure.net/");

fn sources(file: &str, environment: &[(&str, &str)], flags: &[(&'static str, &str)]) -> Sources {
    Sources {
        file: Some(("serve.toml".into(), file.to_owned())),
        environment: environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        flags: flags.iter().map(|(path, value)| (*path, vec![(*value).to_owned()])).collect(),
    }
}

fn mistakes(file: &str, environment: &[(&str, &str)]) -> Vec<String> {
    let mistakes = LoadedConfig::from(&sources(file, environment, &[])).unwrap_err();
    mistakes.0.iter().map(ToString::to_string).collect()
}

#[test]
fn only_the_vault_must_be_configured() {
    let config = LoadedConfig::from(&sources("", &[VAULT], &[])).unwrap().config;
    assert_eq!(config.kubernetes.namespace.0, "azure-iot-operations");
    assert_eq!(config.sync.interval, Duration::from_secs(300));
    assert_eq!(config.server.listen, ["127.0.0.1:50051".parse().unwrap()]);
}

#[test]
fn flags_come_before_the_environment_and_the_environment_before_the_file() {
    let file =
        "vault.uri = 'https://file.vault.azure.net'\nsync = { workers = 2, jitter = 0.5, interval = '1m' }";
    let environment = [("SECRET_SERVICE_SYNC_WORKERS", "3"), ("SECRET_SERVICE_SYNC_INTERVAL", "2m")];
    let config = LoadedConfig::from(&sources(file, &environment, &[("sync.interval", "3m")])).unwrap().config;
    assert_eq!(config.vault.uri.0.as_str(), "https://file.vault.azure.net/");
    assert_eq!(config.sync.jitter, Fraction(0.5));
    assert_eq!(config.sync.workers.get(), 3);
    assert_eq!(config.sync.interval, Duration::from_secs(180));
}

#[test]
fn an_empty_variable_counts_as_none_and_a_list_has_commas() {
    let environment = [
        VAULT,
        ("SECRET_SERVICE_SYNC_WORKERS", ""),
        ("SECRET_SERVICE_SERVER_LISTEN", "127.0.0.1:1, [::1]:2"),
    ];
    let config = LoadedConfig::from(&sources("", &environment, &[])).unwrap().config;
    assert_eq!(config.sync.workers.get(), 8);
    assert_eq!(config.server.listen.len(), 2);
}

#[test]
fn configured_usage_rules_precede_built_in_ones_and_every_invalid_one_is_reported() {
    let file = "usages.rules = ['Camera.example.com spec.users[*].secretRef SECRET user+password|token', '*.example.com']";
    let environment = [VAULT, ("SECRET_SERVICE_USAGES_INTERVAL", "1m")];
    let loaded = LoadedConfig::from(&sources(file, &environment, &[])).unwrap();
    let rules = &loaded.config.usages.rules;
    assert_eq!(rules[0].to_string(), "Camera.example.com spec.users[*].secretRef SECRET user+password|token");
    assert_eq!((rules.len(), rules[1].group()), (2, "example.com"));
    assert!(loaded.print().contains("rules = [\"Camera.example.com spec.users[*].secretRef SECRET"));

    let file = "usages.rules = ['Camera spec.x SECRET', '*.example.com', 'Camera.example.com spec.x WHOLE']";
    let wrong = mistakes(file, &[VAULT]);
    assert_eq!(wrong.len(), 1);
    for word in [
        "serve.toml:1: usages.rules:",
        "KIND.GROUP",
        "\"WHOLE\" is not a format",
        "accepted: a list, each a rule",
    ] {
        assert!(wrong[0].contains(word), "{wrong:?}");
    }
}

#[test]
fn every_mistake_is_one_line_and_all_are_reported_at_once() {
    let file = "\
[vault]
url = 'https://contoso.vault.azure.net'
timeout = 10
concurrency = 0
ca_file = '/nowhere/ca.pem'

[sync]
engine = 'direkt'
jitter = 2

[server]
listen = ['0.0.0.0:50051', '127.0.0.1:1']
tls_key_file = '/nowhere/key.pem'
unix_socket = ['a', 'b']

[credential]
kind = 'client-secret'
secret = 'canary'

[cloud]
name = 'custom'

[kubernets]
namespace = 'x'

[log]
format = 'xml'
level = { secret_service = 'info' }
";
    let environment = [("SECRET_SERVICE_KUBERNETES_NAMESPACE", "Not_One"), ("SECRET_SERVICE_VAULT_URL", "x")];
    let found = mistakes(file, &environment);
    let expected = [
        "serve.toml:2: vault.url: unknown field; the fields of [vault] are uri, api_version",
        "vault.uri: required; set it in the file, with SECRET_SERVICE_VAULT_URI or with --vault-uri; \
         accepted: an https URL",
        "serve.toml:3: vault.timeout: \"10\" is not a duration",
        "serve.toml:4: vault.concurrency: \"0\" is not a whole number of at least 1",
        "serve.toml:8: sync.engine: \"direkt\" is unknown; accepted: auto, secret-store or direct",
        "serve.toml:9: sync.jitter: \"2\" is not a number from 0 to 1",
        "serve.toml:14: server.unix_socket: is a list; accepted: a path",
        "serve.toml:18: credential.secret: secrets are not allowed in this file: set \
         SECRET_SERVICE_CREDENTIAL_SECRET",
        "credential.tenant_id: required for credential.kind = \"client-secret\"; set it",
        "credential.client_id: required for",
        "credential.secret_file: required for",
        "cloud.authority_host: required for cloud.name = \"custom\"",
        "serve.toml:23: kubernets: unknown section; the sections are vault, credential",
        "SECRET_SERVICE_KUBERNETES_NAMESPACE: kubernetes.namespace: \"Not_One\" is not the name of a \
         namespace",
        "SECRET_SERVICE_VAULT_URL: unknown variable",
        "serve.toml:27: log.format: \"xml\" is unknown; accepted: text or json",
        "serve.toml:28: log.level: is a table",
    ];
    each_begins_one_of(&found, &expected);
    assert!(found.iter().all(|line| !line.contains('\n') && !line.contains("canary")), "{found:#?}");
}

fn each_begins_one_of(found: &[String], expected: &[&str]) {
    for expected in expected {
        let lines = found.iter().filter(|line| line.starts_with(expected)).count();
        assert_eq!(lines, 1, "{expected}\n{found:#?}");
    }
}

#[test]
fn combinations_of_fields_are_checked_once_each_is_valid() {
    let file = "\
[vault]
ca_file = '/nowhere/ca.pem'
[server]
listen = ['0.0.0.0:50051', '127.0.0.1:1']
tls_key_file = '/nowhere/key.pem'
allowed_origins = ['https://console.example']
[credential]
certificate_file = '/'
[cloud]
authority_host = 'https://login.example'
";
    let found = mistakes(file, &[VAULT]);
    let expected = [
        "serve.toml:2: vault.ca_file: \"/nowhere/ca.pem\" can't be read",
        "serve.toml:4: server.listen: 0.0.0.0:50051 is reachable from other machines, and without TLS",
        "server.tls_cert_file: missing",
        "serve.toml:5: server.tls_key_file: \"/nowhere/key.pem\" can't be read",
        "serve.toml:6: server.allowed_origins: only used by browsers",
        "serve.toml:8: credential.certificate_file: not used with credential.kind = \"workload-identity\"",
        "serve.toml:8: credential.certificate_file: \"/\" is a directory",
        "serve.toml:10: cloud.authority_host: only used with cloud.name = \"custom\"",
    ];
    each_begins_one_of(&found, &expected);
    assert_eq!(found.len(), expected.len(), "{found:#?}");
}

#[test]
fn the_extension_needs_the_file_of_a_custom_cloud_and_of_no_other() {
    let with = |vault: &str, cloud: &str, engine: &str, file: &str| {
        let cloud = match cloud {
            "custom" => "name = 'custom'\nauthority_host = 'https://login.azurestack.example'".to_owned(),
            known => format!("name = '{known}'"),
        };
        let text = format!(
            "vault.uri = '{vault}'\nsync.engine = '{engine}'\n[secret_store]\n{file}\n[cloud]\n{cloud}\n"
        );
        LoadedConfig::from(&sources(&text, &[], &[])).map(|loaded| cloud_of_vault(&loaded.config))
    };
    let (own, file) = ("https://contoso.vault.azurestack.example", "cloud_env_file = '/cloud/env.json'");
    let refused = with(own, "custom", "secret-store", "").unwrap_err().0;
    assert_eq!(refused.len(), 1, "{refused:#?}");
    for word in [
        "secret_store.cloud_env_file: required",
        "would look for the vault in the public cloud",
        "SECRET_SERVICE_SECRET_STORE_CLOUD_ENV_FILE",
        "sync.engine = \"direct\"",
    ] {
        assert!(refused[0].to_string().contains(word), "{word}: {refused:#?}");
    }
    assert_eq!(with(own, "custom", "secret-store", file).unwrap(), CloudName::Custom);
    assert_eq!(with(own, "custom", "direct", "").unwrap(), CloudName::Custom);
    // The cluster could choose the Secret Store engine.
    let refused = with(own, "custom", "auto", "").unwrap_err().0;
    assert!(refused[0].to_string().contains("secret_store.cloud_env_file: required"), "{refused:#?}");
    assert_eq!(with(own, "custom", "auto", file).unwrap(), CloudName::Custom);
    let government = "https://contoso.vault.usgovcloudapi.net";
    for cloud in ["custom", "us-government"] {
        assert_eq!(with(government, cloud, "secret-store", "").unwrap(), CloudName::UsGovernment);
    }
    assert_eq!(with("https://127.0.0.1:1", "custom", "secret-store", "").unwrap(), CloudName::Public);
    let unused = with(government, "us-government", "direct", file).unwrap_err().0;
    assert!(
        unused[0].to_string().contains("secret_store.cloud_env_file: only used with cloud.name"),
        "{unused:#?}"
    );
}

#[test]
fn listening_beyond_the_machine_without_tls_needs_insecure_and_a_unix_socket_needs_no_address() {
    let insecure = "server = { listen = ['0.0.0.0:1'], insecure = true }";
    assert!(LoadedConfig::from(&sources(insecure, &[VAULT], &[])).is_ok());
    let socket = "server = { listen = [], unix_socket = '/run/grpc.sock' }";
    assert!(LoadedConfig::from(&sources(socket, &[VAULT], &[])).unwrap().config.server.listen.is_empty());
    assert!(mistakes("server = { listen = [] }", &[VAULT])[0].contains("nothing to listen on"));
}

#[test]
fn anonymous_callers_beyond_loopback_without_tls_are_refused_with_both_options_and_the_alternatives() {
    let open = |listen: &str, anonymous: bool, insecure: bool| {
        let file = format!(
            "server = {{ listen = ['{listen}'], insecure = {insecure} }}\nauthentication = {{ anonymous = \
             {anonymous} }}"
        );
        LoadedConfig::from(&sources(&file, &[VAULT], &[]))
    };
    let refused = open("0.0.0.0:1", true, true).unwrap_err().0;
    assert_eq!(refused.len(), 1, "{refused:#?}");
    let said = refused[0].to_string();
    for word in [
        "serve.toml:1: server.insecure: ",
        "authentication.anonymous = false",
        "0.0.0.0:1",
        "server.tls_cert_file",
        "unix_socket",
    ] {
        assert!(said.contains(word), "{word}: {said}");
    }
    assert!(open("127.0.0.1:1", true, true).is_ok() && open("0.0.0.0:1", false, true).is_ok());
}

#[test]
fn rules_for_revocation_lists_need_a_list() {
    let file = "authentication = { require_current_crl = true, allow_unknown_revocation = true }";
    let found = mistakes(file, &[VAULT]);
    assert_eq!(
        found.iter().filter(|line| line.contains("authentication.client_crl_file")).count(),
        2,
        "{found:#?}"
    );
}

#[test]
fn a_file_that_is_not_toml_reports_syntax_errors_only() {
    let found = mistakes("[vault]\nuri = https://x\ntimeout = \n", &[]);
    assert!(found[0].starts_with("serve.toml:2: "), "{found:#?}");
    assert!(found.iter().any(|line| line.starts_with("serve.toml:3: ")), "{found:#?}");
    assert!(!found.iter().any(|line| line.contains("required")), "{found:#?}");
}

#[test]
fn variables_that_kubernetes_sets_for_a_service_of_our_name_are_no_error() {
    let environment = [
        VAULT,
        ("SECRET_SERVICE_SERVICE_HOST", "10.0.0.1"),
        ("SECRET_SERVICE_PORT", "tcp://10.0.0.1:50051"),
        ("SECRET_SERVICE_VAULT_SERVICE_HOST", "10.0.0.1"),
        ("SECRET_SERVICE_VAULT_PORT_443_TCP", "tcp://10.0.0.1:443"),
        ("SECRET_SERVICE_LOG", "debug"),
    ];
    assert!(LoadedConfig::from(&sources("", &environment, &[])).is_ok());
}

#[test]
fn a_secret_is_neither_printed_nor_in_debug_output() {
    let file = "credential = { kind = 'client-secret', tenant_id = 't', client_id = 'c' }";
    let environment = [VAULT, ("SECRET_SERVICE_CREDENTIAL_SECRET", "canary")];
    let loaded = LoadedConfig::from(&sources(file, &environment, &[])).unwrap();
    let printed = loaded.print();
    assert!(!printed.contains("canary") && !format!("{loaded:?}").contains("canary"));
    assert!(printed.contains("# secret is set but not shown"), "{printed}");
    assert!(printed.contains("Set by: SECRET_SERVICE_CREDENTIAL_SECRET."), "{printed}");
}

#[test]
fn the_printed_file_has_the_same_values() {
    let file = "[sync]\njitter = 0.25\n[server]\nlisten = ['127.0.0.1:1', '[::1]:2']\n[kubernetes]\ncontext = 'a \"b\"'\n";
    let printed = LoadedConfig::from(&sources(file, &[VAULT], &[])).unwrap().print();
    let again = LoadedConfig::from(&sources(&printed, &[], &[])).unwrap();
    let values = |printed: &str| {
        let lines = printed.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(values(&again.print()), values(&printed));
    assert_eq!(again.config.kubernetes.context.as_deref(), Some("a \"b\""));
    assert!(printed.contains("Set by: serve.toml:2."), "{printed}");
    let is_broken = |line: &str| line.len() > 110 || line.trim_start_matches('#').contains("# ");
    assert!(!printed.lines().any(is_broken), "{printed}");
}

/// A configuration with an issuer, and these lines for it.
fn with_issuer(lines: &str) -> String {
    format!(
        "[authentication]\naudience = 'x'\n\n[authentication.oidc]\nissuer = 'https://issuer.example/t'\n{lines}"
    )
}

#[test]
fn a_section_within_a_section_is_read_from_file_environment_and_flags() {
    let file = with_issuer("audience = ['console', 'api']\nusername_prefix = ''\ngroups_prefix = 'g:'");
    let environment = [
        VAULT,
        ("SECRET_SERVICE_AUTHENTICATION_OIDC_GROUPS_PREFIX", "oidc:"),
        ("SECRET_SERVICE_AUTHENTICATION_OIDC_REQUIRED_CLAIMS", "tid=1,hd=a=b"),
    ];
    let flags = [("authentication.oidc.key_cache", "1m")];
    let loaded = LoadedConfig::from(&sources(&file, &environment, &flags)).unwrap();
    let oidc = &loaded.config.authentication_oidc;
    assert_eq!(oidc.issuer.as_ref().unwrap().0, "https://issuer.example/t");
    assert_eq!(oidc.audience, ["console", "api"]);
    assert_eq!((oidc.username_claim.as_str(), oidc.groups_claim.as_str()), ("sub", "groups"));
    assert_eq!(oidc.username_prefix, Some(NamePrefix(String::new())));
    assert_eq!(oidc.groups_prefix, Some(NamePrefix("oidc:".to_owned())));
    assert_eq!(oidc.required_claims[1], RequiredClaim { name: "hd".into(), value: "a=b".into() });
    assert_eq!(oidc.key_cache, Duration::from_secs(60));
    let printed = loaded.print();
    for line in
        ["[authentication.oidc]", "username_prefix = \"\"", "required_claims = [\"tid=1\", \"hd=a=b\"]"]
    {
        assert!(printed.contains(line), "{printed}");
    }
    let flag = |field: &Field| field.path == "authentication.oidc.key_cache";
    let fields = || Config::SECTIONS.iter().flat_map(|section| section.fields);
    assert_eq!(fields().find(|field| flag(field)).unwrap().flag().unwrap(), "authentication-oidc-key-cache");
}

#[test]
fn an_issuer_needs_its_audience_and_prefixes_that_keep_its_users_apart_from_others() {
    let wrong = mistakes(&with_issuer("usernam_claim = 'upn'"), &[VAULT]);
    for word in [
        "authentication.oidc.usernam_claim: unknown field; the fields of [authentication.oidc] are issuer",
        "authentication.oidc.audience: required with authentication.oidc.issuer; set it in the file, with \
         SECRET_SERVICE_AUTHENTICATION_OIDC_AUDIENCE or with --authentication-oidc-audience",
        "authentication.oidc.username_prefix: required",
        "authentication.oidc.groups_prefix: required",
    ] {
        assert!(wrong.iter().any(|mistake| mistake.contains(word)), "{word}: {wrong:?}");
    }
    let alone = mistakes("authentication.oidc.audience = 'console'\nauthentication.oidc.x = 1", &[VAULT]);
    assert!(
        alone.iter().any(|mistake| mistake.contains("only used with authentication.oidc.issuer")),
        "{alone:?}"
    );
    let not_table = mistakes("authentication.oidc = 'x'", &[VAULT]);
    assert!(not_table[0].contains("is a section, not a field: write [authentication.oidc]"), "{not_table:?}");

    let this_file = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let file = with_issuer("audience = ['a']\nusername_prefix = ''\ngroups_prefix = ''");
    let certificates = [VAULT, ("SECRET_SERVICE_AUTHENTICATION_CLIENT_CA_FILE", this_file)];
    let wrong = mistakes(&file, &certificates);
    assert_eq!(
        wrong.iter().filter(|mistake| mistake.contains("could be the one in a client certificate")).count(),
        2
    );
    let file =
        with_issuer("audience = ['a']\nusername_prefix = 'a:'\ngroups_prefix = 'b:'\nkey_cache = '61m'");
    assert!(mistakes(&file, &[VAULT])[0].contains("authentication.oidc.key_cache: longer than an hour"));
    let unknown = [VAULT, ("SECRET_SERVICE_AUTHENTICATION_OIDC_ISSUR", "x")];
    assert!(mistakes("", &unknown)[0].contains("unknown variable"));
    // Without any other way in.
    let file = with_issuer("audience = ['a']\nusername_prefix = 'a:'\ngroups_prefix = 'a:'");
    LoadedConfig::from(&sources(&file, &[VAULT], &[("authentication.tokens", "false")])).unwrap();
}

#[test]
fn people_sign_in_to_the_console_with_a_client_whose_tokens_are_accepted() {
    let console = |lines: &str| {
        let oidc = with_issuer("audience = ['api']\nusername_prefix = 'a:'\ngroups_prefix = 'b:'");
        format!("{oidc}\n[authentication.oidc.console]\n{lines}")
    };
    let on = ("server.console", "true");
    let ok = console("client_id = 'page'\nscopes = ['openid', 'api://api/use']\ntoken = 'access'");
    let read = LoadedConfig::from(&sources(&ok, &[VAULT], &[on])).unwrap().config;
    assert_eq!(read.authentication_oidc_console.client_id.as_deref(), Some("page"));
    assert!(read.server.console && !read.server.grpc_web, "the console brings its gRPC-Web along");
    let defaults = LoadedConfig::from(&sources("", &[VAULT], &[])).unwrap().config;
    assert!(!defaults.server.console);
    let scopes = defaults.authentication_oidc_console.scopes;
    assert_eq!(scopes.iter().map(|scope| scope.0.as_str()).collect::<Vec<_>>(), ["openid", "profile"]);

    let wrong = |lines: &str, flags: &[(&'static str, &str)]| {
        LoadedConfig::from(&sources(&console(lines), &[VAULT], flags)).unwrap_err().to_string()
    };
    for (lines, flags, words) in [
        ("client_id = 'page'", &[on][..], "its ID tokens would be refused, because they are for \"page\""),
        ("client_id = 'api'", &[], "only used by the console; set server.console = true"),
        ("client_id = 'api'\nscopes = ['profile']", &[on], "without openid, nobody signs in"),
        ("client_id = 'api'\nscopes = ['openid profile']", &[on], "is not a scope"),
        ("client_id = 'api'\ntoken = 'refresh'", &[on], "accepted: id or access"),
        ("client = 'api'", &[on], "the fields of [authentication.oidc.console] are client_id, scopes, token"),
    ] {
        let told = wrong(lines, flags);
        assert!(told.contains(words), "{words}: {told}");
    }
    let alone =
        mistakes("[server]\nconsole = true\n[authentication.oidc.console]\nclient_id = 'a'", &[VAULT]);
    assert!(
        alone.iter().any(|mistake| mistake.contains("only used with authentication.oidc.issuer")),
        "{alone:?}"
    );
    let origins = "[server]\nconsole = true\nallowed_origins = ['https://console.example']";
    LoadedConfig::from(&sources(origins, &[VAULT], &[])).unwrap();
}

#[test]
fn every_default_is_valid_and_every_field_is_described() {
    for field in Config::SECTIONS.iter().flat_map(|section| section.fields) {
        assert!(field.help().ends_with('.'), "{}", field.path);
        assert!(!field.value_type.accepts.is_empty(), "{}", field.path);
    }
    assert_eq!(LoadedConfig::from(&sources("", &[], &[])).unwrap_err().0.len(), 1);
}
