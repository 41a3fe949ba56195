//! Servers that stand in for Azure and Kubernetes, on the wire: what `secret-service dev` and the tests run on.

pub mod definitions;
pub mod disk;
pub mod extension;
pub mod kube;
pub mod proxy;
pub mod tls;
pub mod vault;
