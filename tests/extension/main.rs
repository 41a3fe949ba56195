//! The double of the Secret Store extension behaves like the real extension: each of the twelve observations of the real controller
//! is a test, with its number above it. The tests run on the Kubernetes double and, with
//! `scripts/on-control-plane cargo test --test extension`, on the real control plane.

#![allow(missing_docs)]

#[macro_use]
#[path = "../support/mod.rs"]
mod support;

mod failures;
mod fixture;
mod hand_over;
mod hash;
mod life;
mod objects;
mod partial;
mod witness;
