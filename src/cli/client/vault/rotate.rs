//! `vault rotate`: a new value, which keeps what the vault holds with the one before.

use prost_types::Timestamp;
use tonic::Code;

use super::{
    super::{
        arguments::VaultName,
        call::Client,
        output::Output,
        refusal::Refusal,
        request_id,
        table::{moment, plain},
        value::ABOUT,
    },
    New, versions_table,
};
use crate::{
    cli::Failure,
    proto::{self, NewVaultSecret, VaultSecret},
    secrets::RESERVED_TAG,
};

/// Give a secret in the vault a new value; what follows the latest version is synced anew
///
/// The new version keeps the content type and the tags of the one before, but for what the flags change. It keeps its times
/// only with --keep-dates; where they are given up, that is told.
#[derive(Debug, clap::Args)]
#[command(after_long_help = ABOUT)]
pub(super) struct Rotate {
    /// The vault secret
    name: VaultName,
    #[command(flatten)]
    new: New,
    /// Take a tag of the version before away. Can be given several times
    #[arg(long, value_name = "KEY")]
    remove_tag: Vec<String>,
    /// Keep the times of the version before, but for those that are given
    #[arg(long)]
    keep_dates: bool,
    /// Keep nothing of the version before and do not look at it: the new one has only what is given
    #[arg(long, conflicts_with_all = ["remove_tag", "keep_dates"])]
    keep_nothing: bool,
}

impl Rotate {
    pub async fn run(self, client: &Client, output: Output) -> Result<(), Failure> {
        let given = self.new.about()?;
        // All that can be wrong is told before a value is typed.
        let about = match self.keep_nothing {
            true => given,
            false => {
                let before = self.before(client).await?;
                let about = self.keep(&before, given)?;
                if let Some(told) = given_up(&before, &about) {
                    eprintln!("{told}");
                }
                about
            }
        };
        let request = proto::AddVaultSecretVersionRequest {
            parent: self.name.full(),
            secret: Some(self.new.with_value(&self.name, about)?),
            request_id: request_id(),
        };
        let added = client
            .call(request, async |mut stub, request| stub.add_vault_secret_version(request).await)
            .await?;
        output.print(&added, |added| versions_table(std::slice::from_ref(added)))
    }

    /// The secret as its latest version is.
    async fn before(&self, client: &Client) -> Result<VaultSecret, Failure> {
        let request = proto::GetVaultSecretRequest { name: self.name.full() };
        let found = client.call(request, async |mut stub, request| stub.get_vault_secret(request).await);
        found.await.map_err(|refusal: Refusal| match refusal.code() {
            Code::PermissionDenied => Failure::from(refusal).and(Failure::failed(
                "nothing was rotated: what the new version is to keep can't be looked at; \
                 with --keep-nothing it has only what is given",
            )),
            _ => refusal.into(),
        })
    }

    /// What goes with the new value: what is given, and else what went with the one before.
    fn keep(&self, before: &VaultSecret, given: NewVaultSecret) -> Result<NewVaultSecret, Failure> {
        let mut tags = before.tags.clone();
        // It says which call of the service stored a version, and each has its own.
        tags.remove(RESERVED_TAG);
        for key in &self.remove_tag {
            if tags.remove(key).is_none() {
                return Err(Failure::usage(format!(
                    "--remove-tag {key}: the version before has no such tag"
                )));
            }
        }
        tags.extend(given.tags);
        let kept = |time: Option<Timestamp>| time.filter(|_| self.keep_dates);
        let expires = kept(before.expire_time);
        if given.expire_time.is_none() && expires.is_some_and(is_past) {
            let time = moment(expires.as_ref());
            let text = format!(
                "--keep-dates: the version before has expired at {time}; say --expires for the new one"
            );
            return Err(Failure::usage(text));
        }
        Ok(NewVaultSecret {
            content_type: self.new.content_type.clone().unwrap_or_else(|| before.content_type.clone()),
            not_before_time: given.not_before_time.or(kept(before.not_before_time)),
            expire_time: given.expire_time.or(expires),
            tags,
            ..Default::default()
        })
    }
}

/// The times of the version before that the new one has none for.
fn given_up(before: &VaultSecret, new: &NewVaultSecret) -> Option<String> {
    let times = [
        ("not valid before", before.not_before_time, new.not_before_time, "--not-before"),
        ("expires at", before.expire_time, new.expire_time, "--expires"),
    ];
    let (what, flags): (Vec<_>, Vec<_>) = times
        .into_iter()
        .filter(|(_, before, new, _)| before.is_some() && new.is_none())
        .map(|(what, before, _, flag)| (format!("{what} {}", moment(before.as_ref())), flag))
        .unzip();
    (!what.is_empty()).then(|| {
        plain(&format!(
            "the version before {}, which the new one does not: --keep-dates keeps that, {} another",
            what.join(" and "),
            match flags.as_slice() {
                [flag] => format!("{flag} sets"),
                flags => format!("{} set", flags.join(" and ")),
            },
        ))
    })
}

fn is_past(time: Timestamp) -> bool {
    time.seconds <= jiff::Timestamp::now().as_second()
}
