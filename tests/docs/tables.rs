//! The pages that are tables: conditions, the configuration, errors.

use std::fmt::Write;

use secret_service::{
    api,
    config::{Config, Field},
    model::{AuditAction, ConditionType, Reason},
};

pub fn conditions() -> String {
    let mut page = String::from(
        "# Conditions\n\nA condition describes the state of a synced secret or of the vault (`type`, `status`), why it is so \
         (`reason`, stable, for programs), and what to do (`message`, for people).\n\n## Types\n\n| type | what it says |\n|---|---|\n",
    );
    for kind in ConditionType::ALL {
        let _ = writeln!(page, "| `{}` | {} |", kind.as_str(), kind.meaning());
    }
    page.push_str("\n## Reasons\n\n| reason | what it means |\n|---|---|\n");
    for reason in Reason::ALL {
        let _ = writeln!(page, "| `{}` | {} |", reason.as_str(), reason.meaning());
    }
    page
}

pub fn audit() -> String {
    let mut page = String::from(
        "# The audit\n\nEvery event records its `actor`, the `action`, the resource, the time and the `outcome`: `OK` or a status code. \
         `secret-service audit` lists the events; [security](security.md) describes how they are chained and kept. An action that is not \
         listed here was recorded by another release.\n\n| action | what it means |\n|---|---|\n",
    );
    for action in AuditAction::ALL {
        let _ = writeln!(page, "| `{action}` | {} |", action.meaning());
    }
    page
}

pub fn configuration() -> String {
    let mut page = String::from(
        "# The configuration of `secret-service serve`\n\nSet a field in the TOML file that `--config` names, with its environment \
         variable, or with its flag. Each overrides the one before. `serve --print-config` prints the effective values.\n",
    );
    for section in Config::SECTIONS {
        let _ = write!(page, "\n## [{}]\n\n{}.\n", section.name, section.help().trim_end_matches('.'));
        for field in section.fields {
            add_field(&mut page, field);
        }
    }
    page
}

fn add_field(page: &mut String, field: &Field) {
    let flag = field
        .flag()
        .map_or_else(|| "none; other users could see it".to_owned(), |flag| format!("`--{flag}`"));
    let default = match field.default {
        Some(default) => format!("`{default}`"),
        None if field.is_required() => "none; required".to_owned(),
        None => "none".to_owned(),
    };
    let _ = write!(
        page,
        "\n### {}\n\n{}\n\n| flag | variable | default | accepted |\n|---|---|---|---|\n| {flag} | `{}` | {default} | {} |\n",
        field.path,
        field.help(),
        field.variable(),
        field.accepts().replace('|', "\\|"),
    );
}

pub fn errors() -> String {
    let mut errors = api::errors();
    errors.sort_by_key(|error| (i32::from(error.code), error.reason));
    errors.dedup_by_key(|error| (error.code, error.reason));
    let mut page = format!(
        "# Errors\n\nEvery error is a canonical gRPC code with `google.rpc.ErrorInfo`: a stable `reason`, for programs, in the domain \
         `{}`. The message says what happened and, in its last sentence, what to do; the tables show examples for \
         \"pump-7\". If the last column says yes, `google.rpc.RetryInfo` says how long to wait before a retry.\n",
        api::DOMAIN
    );
    let mut code = None;
    for error in &errors {
        if code != Some(error.code) {
            code = Some(error.code);
            let _ = write!(page, "\n## {}\n\n", api::code_name(error.code));
            page.push_str("| reason | what happened | what to do | wait and retry |\n|---|---|---|---|\n");
        }
        let retry = if error.is_retried { "yes" } else { "" };
        let (happened, remedy) = (cell(&error.happened), cell(&error.remedy));
        let _ = writeln!(page, "| `{}` | {happened} | {remedy} | {retry} |", error.reason);
    }
    page
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
