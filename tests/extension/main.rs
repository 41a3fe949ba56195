//! The stand-in of the Secret Store extension does what the real one was seen to do: each of the twelve observations on the real
//! controller is a test, with its number above it. They run on the Kubernetes double and, by
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
