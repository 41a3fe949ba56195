//! The command lines of the three programs.

use super::files::Files;

/// How many requests may be in flight: a test is not throttled by the API server.
const IN_FLIGHT: u32 = 3_000;

/// etcd, on a socket in the directory: no port to collide on, nobody else's store to reach by mistake.
pub fn etcd(files: &Files) -> Vec<String> {
    let data = files.directory.join("etcd");
    let mut arguments = flags(&[
        ("listen-client-urls", &store(files)),
        // These two are never connected to: there is one member, and the API server knows the socket.
        ("advertise-client-urls", "http://127.0.0.1:0"),
        ("listen-peer-urls", "http://127.0.0.1:0"),
        ("log-level", "warn"),
        ("data-dir", &data.display().to_string()),
    ]);
    arguments.push("--unsafe-no-fsync".to_owned());
    arguments
}

/// The API server at `url`, as clusters have it: Node and RBAC, the default admission, tokens bound to their accounts.
pub fn apiserver(files: &Files, url: &str, port: u16) -> Vec<String> {
    let path = |path: &std::path::Path| path.display().to_string();
    flags(&[
        ("bind-address", "127.0.0.1"),
        ("advertise-address", "127.0.0.1"),
        ("secure-port", &port.to_string()),
        ("tls-cert-file", &path(&files.certificate)),
        ("tls-private-key-file", &path(&files.key)),
        ("client-ca-file", &path(&files.ca)),
        ("token-auth-file", &path(&files.tokens)),
        ("authorization-mode", "Node,RBAC"),
        ("service-account-issuer", url),
        ("service-account-jwks-uri", &format!("{url}/openid/v1/jwks")),
        ("service-account-key-file", &path(&files.account_public_key)),
        ("service-account-signing-key-file", &path(&files.account_key)),
        ("service-cluster-ip-range", "10.96.0.0/24"),
        ("etcd-servers", &store(files)),
        // No pods and no nodes: nobody looks for the API server in its own Endpoints.
        ("endpoint-reconciler-type", "none"),
        ("enable-priority-and-fairness", "false"),
        ("max-requests-inflight", &IN_FLIGHT.to_string()),
        ("max-mutating-requests-inflight", &IN_FLIGHT.to_string()),
        ("profiling", "false"),
    ])
}

/// The controllers that our objects depend on; pods have nowhere to run.
pub fn controller_manager(files: &Files) -> Vec<String> {
    let admin = files.admin.display().to_string();
    let controllers = [
        "namespace-controller",
        "garbage-collector-controller",
        "serviceaccount-controller",
        "serviceaccount-token-controller",
        "root-ca-certificate-publisher-controller",
    ];
    flags(&[
        ("kubeconfig", &admin),
        ("controllers", &controllers.join(",")),
        ("service-account-private-key-file", &files.account_key.display().to_string()),
        ("root-ca-file", &files.ca.display().to_string()),
        ("leader-elect", "false"),
        ("secure-port", "0"),
        ("kube-api-qps", "500"),
        ("kube-api-burst", "1000"),
        ("profiling", "false"),
    ])
}

fn store(files: &Files) -> String {
    format!("unix://{}", files.directory.join("etcd.sock").display())
}

fn flags(flags: &[(&str, &str)]) -> Vec<String> {
    flags.iter().map(|(name, value)| format!("--{name}={value}")).collect()
}
