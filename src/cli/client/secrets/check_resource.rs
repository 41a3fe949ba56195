//! `secrets check-resource`: what the resources of a manifest need from secrets, before they are applied.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::super::{
    call::Client,
    output::Output,
    table::{cell, id, table},
    value::is_stdin,
};
use crate::{
    cli::CommandError,
    proto::{self, CheckResourceResponse, CheckedResource, Condition, condition::Status},
    secrets::MANIFEST_BYTES,
};

/// Check which secrets and keys a manifest names, and whether they are there, before you apply it
///
/// Exits with 1 if a secret or a key is missing, expired, or can't be used for another reason. Changes nothing.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct CheckResource {
    /// The manifest, YAML or JSON, also of several resources; - is standard input
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
}

const EXAMPLES: &str = "\
Examples:
  secret-service secrets check-resource -f endpoint.yaml && kubectl apply -f endpoint.yaml
  kustomize build . | secret-service secrets check-resource -f -";

impl CheckResource {
    pub async fn run(self, client: &Client, output: Output) -> Result<(), CommandError> {
        let manifest =
            read(&self.file).map_err(|problem| CommandError::usage(format!("--file: {problem}")))?;
        let request = proto::CheckResourceRequest { manifest: manifest.to_string() };
        drop(manifest);
        let checked =
            client.call(request, async |mut stub, request| stub.check_resource(request).await).await?;
        output.print(&checked, |checked| checked_table(&checked.resources))?;
        match unusable(&checked) {
            0 => Ok(()),
            1 => Err(CommandError::failed("1 problem keeps a resource from working")),
            many => Err(CommandError::failed(format!("{many} problems keep resources from working"))),
        }
    }
}

/// Reads a manifest; it may hold a value, so no error repeats it.
fn read(file: &Path) -> Result<Zeroizing<String>, String> {
    let mut text = Zeroizing::new(Vec::with_capacity(MANIFEST_BYTES + 32));
    let most = MANIFEST_BYTES as u64 + 1;
    let read = match is_stdin(file) {
        true => io::stdin().lock().take(most).read_to_end(&mut text),
        false => File::open(file).and_then(|file| file.take(most).read_to_end(&mut text)),
    };
    read.map_err(|error| format!("{:?}: {error}", file.display().to_string()))?;
    if text.len() > MANIFEST_BYTES {
        return Err(format!("the manifest has more than {MANIFEST_BYTES} bytes; split it"));
    }
    let text = std::str::from_utf8(&text).map_err(|_| "the manifest is not UTF-8".to_owned())?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// The number of problems with which a resource can't work.
fn unusable(checked: &CheckResourceResponse) -> usize {
    let of_one = |resource: &CheckedResource| {
        let of_usages = resource.usages.iter().filter_map(|checked| checked.problem.as_ref());
        let all = of_usages.chain(&resource.problems);
        all.filter(|problem| problem.status() == Status::False).count()
    };
    checked.resources.iter().map(of_one).sum()
}

/// One row per usage; for a resource without any, one row that says so.
fn checked_table(resources: &[CheckedResource]) -> String {
    let mut rows = Vec::new();
    for resource in resources {
        let mut row = |field: &str, name: &str, key: &str, note: &str| {
            rows.push([&resource.kind, &resource.resource, field, id(name), key, note].map(cell));
        };
        resource.problems.iter().for_each(|problem| row("", "", "", &told(problem)));
        for checked in &resource.usages {
            let usage = checked.usage.clone().unwrap_or_default();
            let guessed = if usage.guessed { "ok (guessed from the field's name)" } else { "ok" };
            let note = checked.problem.as_ref().map_or_else(|| guessed.to_owned(), told);
            row(&usage.field, &usage.synced_secret, &usage.key, &note);
        }
        match (resource.kind_unknown, resource.usages.is_empty()) {
            (true, true) => row("", "", "", "not checked: the fields of this kind are not known"),
            (true, false) => row("", "", "", "the fields of this kind are not known; there may be more"),
            (false, true) => row("", "", "", "names no secret"),
            (false, false) => {}
        }
    }
    table(["KIND", "RESOURCE", "FIELD", "NAME", "KEY", "NOTE"], rows)
}

fn told(problem: &Condition) -> String {
    format!("{}: {}", problem.reason, problem.message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{CheckedUsage, SecretUsage};

    fn usage(field: &str, problem: Option<(Status, &str)>) -> CheckedUsage {
        let usage = SecretUsage {
            field: field.to_owned(),
            synced_secret: "syncedSecrets/edp1".to_owned(),
            ..Default::default()
        };
        let problem = problem.map(|(status, reason)| Condition {
            status: status.into(),
            reason: reason.to_owned(),
            message: "M.".to_owned(),
            ..Default::default()
        });
        CheckedUsage { usage: Some(usage), problem }
    }

    #[test]
    fn what_keeps_a_resource_from_working_is_counted_and_what_was_not_checked_is_said() {
        let usages = vec![
            usage("spec.a", None),
            usage("spec.b", Some((Status::False, "KeyMissing"))),
            usage("spec.c", Some((Status::True, "ExpiresSoon"))),
            usage("spec.d", Some((Status::Unknown, "KeysUnknown"))),
        ];
        let device = CheckedResource { kind: "Device".to_owned(), usages, ..Default::default() };
        let other = CheckedResource { kind: "Other".to_owned(), kind_unknown: true, ..Default::default() };
        let checked = CheckResourceResponse { resources: vec![device, other] };
        assert_eq!(unusable(&checked), 1);
        let table = checked_table(&checked.resources);
        let lines: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[1], ["Device", "spec.a", "edp1", "ok"]);
        assert_eq!(lines[2], ["Device", "spec.b", "edp1", "KeyMissing:", "M."]);
        assert!(lines[5].starts_with(&["Other", "not", "checked:"]), "{table}");
    }

    #[test]
    fn a_manifest_that_cannot_be_read_is_not_repeated() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("manifest");
        std::fs::write(&file, b"canary\xff").unwrap();
        assert_eq!(read(&file).unwrap_err(), "the manifest is not UTF-8");
        std::fs::write(&file, vec![b'a'; MANIFEST_BYTES + 1]).unwrap();
        assert!(read(&file).unwrap_err().contains("split it"));
        assert!(read(&directory.path().join("none")).unwrap_err().contains("none"));
    }
}
