//! The process tier: the real binary, killed at chosen points and started again, and what its command line promises.

#![allow(missing_docs)]

#[macro_use]
#[path = "../support/mod.rs"]
mod support;

mod audit;
mod backup;
mod canary;
mod certificates;
mod check;
mod clock;
mod clouds;
mod crash;
mod dev;
mod disk;
mod doors;
mod handover;
mod leader;
mod life;
mod oidc;
mod people;
mod process;
mod quotes;
mod readme;
mod rebuild;
mod serve;
mod shutdown;
