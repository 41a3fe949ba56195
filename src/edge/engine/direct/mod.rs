//! The direct engine: this service reads the values and writes the Secret.

pub(in crate::edge) mod secret;
