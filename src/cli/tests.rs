//! What holds of the command line as a whole.

use clap::CommandFactory;

use super::*;
use crate::config::Config;

fn long_help(command: &str) -> String {
    let mut cli = Cli::command();
    cli.build();
    cli.find_subcommand_mut(command).unwrap().render_long_help().to_string()
}

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn every_flag_names_its_environment_variable() {
    let mut cli = Cli::command();
    cli.build();
    let commands =
        if cfg!(feature = "dev") { ["dev", "serve", "check"].as_slice() } else { &["serve", "check"] };
    for command in commands {
        let found = cli.find_subcommand_mut(command).unwrap();
        let without = ["help", "print_config", "probe_writes"];
        for flag in found.get_arguments().filter(|flag| !without.contains(&flag.get_id().as_str())) {
            let help = flag.get_long_help().or(flag.get_help()).map(ToString::to_string).unwrap_or_default();
            let is_named = flag.get_env().is_some() || help.contains("[env: SECRET_SERVICE_");
            assert!(is_named, "{command} --{}", flag.get_id());
        }
    }
}

#[test]
fn serve_and_check_have_a_flag_for_every_field_but_secrets() {
    for command in ["serve", "check"] {
        let help = long_help(command);
        for field in Config::SECTIONS.iter().flat_map(|section| section.fields) {
            match field.flag() {
                Some(flag) => assert!(help.contains(&format!("--{flag}")), "{command}: {flag}"),
                None => {
                    assert!(!help.contains(&field.variable().to_lowercase()), "{command}: {}", field.path)
                }
            }
        }
        assert!(help.contains("Examples:") && help.contains("Exit codes:"), "{command}");
    }
}

#[test]
fn a_boolean_flag_needs_no_value_and_a_list_flag_can_be_repeated() {
    let line = ["secret-service", "serve", "--server-grpc-web", "--server-listen", "a", "--server-listen=b"];
    let Command::Serve(serve) = Cli::try_parse_from(line).unwrap().command else { panic!("not serve") };
    let printed = format!("{serve:?}");
    assert!(printed.contains(r#""server.grpc_web": ["true"]"#), "{printed}");
    assert!(printed.contains(r#""server.listen": ["a", "b"]"#), "{printed}");
}

#[test]
fn the_defaults_of_the_configuration_are_those_of_the_server() {
    let environment = [("SECRET_SERVICE_VAULT_URI".to_owned(), "https://a.vault.azure.net".to_owned())];
    let sources = crate::config::Sources { environment: environment.into(), ..Default::default() };
    let config = crate::config::LoadedConfig::from(&sources).unwrap().config;
    let settings = service::Settings::from_config(&config).unwrap();
    let configured = format!("{:?}", settings.server.limits);
    // Callers of `dev`, of the tests and of the benches are trusted to call as often as they like.
    let rated = crate::api::Limits {
        calls_per_second: std::num::NonZeroU32::new(1_000),
        ..crate::api::Limits::default()
    };
    assert_eq!(configured, format!("{rated:?}"));
}

#[test]
fn by_default_one_caller_gets_at_most_an_eighth_of_each_shared_limit() {
    let set = |name: &str, value: &str| (format!("SECRET_SERVICE_{name}"), value.to_owned());
    let environment = [
        set("VAULT_URI", "https://a.vault.azure.net"),
        set("LIMITS_CONCURRENT_CALLS", "80"),
        set("LIMITS_WATCHERS", "4"),
        set("LIMITS_CONNECTIONS", "800"),
        set("LIMITS_REQUEST_BYTES", "8388608"),
        set("LIMITS_OPEN_STREAMS_PER_ADDRESS", "200"),
    ];
    let sources = crate::config::Sources { environment: environment.into(), ..Default::default() };
    let config = crate::config::LoadedConfig::from(&sources).unwrap().config;
    let limits = service::Settings::from_config(&config).unwrap().server.limits;
    assert_eq!((limits.calls_per_caller, limits.watches_per_caller), (10, 1));
    assert_eq!((limits.connections_per_caller, limits.request_bytes_per_caller), (100, 1_048_576));
    assert_eq!(limits.open_streams_per_address, 200, "what is said counts");
}

#[test]
fn a_failure_is_one_line_that_names_its_causes_once() {
    let cause = std::io::Error::other("the disk is full");
    let error = crate::store::StoreError::Database(sqlx::Error::Io(cause));
    let line = CommandError::failed(error).to_string();
    assert_eq!(line.matches("the disk is full").count(), 1, "{line}");
    assert!(line.starts_with("error: the database: ") && !line.contains('\n'), "{line}");
}

#[test]
fn a_line_break_in_an_error_does_not_break_the_line() {
    assert_eq!(CommandError::usage("a\nb").to_string(), "error: a b");
}
