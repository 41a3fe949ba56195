//! The service tier: every use case and every kind of bad luck, through the API, against the doubles on the wire.

#![allow(missing_docs)]

#[macro_use]
#[path = "../support/mod.rs"]
mod support;

mod access;
mod add_existing;
mod admission;
mod adoption;
mod bad_input;
mod behind;
mod certificates;
mod check_resource;
mod console;
mod create_new;
mod default_class;
mod disk;
mod doors;
mod edge_faults;
mod edge_on_the_double;
mod edit_references;
mod file_encoding;
mod handover;
mod hostile;
mod idempotency;
mod leader;
mod life;
mod manage;
mod neighbours;
mod other_vaults;
mod pull_secret;
mod purposes;
mod races;
mod readiness;
mod rebuild;
mod renewed;
mod restored;
mod rotation;
mod secret_store;
mod side_by_side;
mod usages;
mod vault_attributes;
mod vault_faults;
mod watch;
mod words;
