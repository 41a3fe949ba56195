//! Rows as the releases of a schema's time left them.

use super::*;

/// The JSON of a value, without the fields that a release of that time did not know.
fn json(value: &impl serde::Serialize, unknown: &[&str]) -> String {
    let mut value = serde_json::to_value(value).unwrap();
    if let Some(object) = value.as_object_mut() {
        unknown.iter().for_each(|field| drop(object.shift_remove(*field)));
    }
    value.to_string()
}

async fn run(sql: &mut SqliteConnection, statement: String) {
    let done = sqlx::raw_sql(AssertSqlSafe(statement.clone())).execute(sql).await;
    done.unwrap_or_else(|error| panic!("{statement}: {error}"));
}

/// A text as SQL writes it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Puts rows into every table of a schema.
pub(super) async fn fill(sql: &mut SqliteConnection, schema: i64) {
    run(sql, format!("INSERT INTO settings VALUES ('key', x'{}')", hex::encode(KEY))).await;
    fill_synced_secrets(sql, schema).await;
    let (caller, owner) = if schema < 6 { ("", "") } else { ("caller, ", "'alice', ") };
    run(
        sql,
        format!(
            "INSERT INTO requests ({caller}request_id, method, fingerprint, uid, response, create_time)
             VALUES ({owner}'{REQUEST}', 'CreateSyncedSecret', x'{}', '{}', CAST('null' AS BLOB), {})",
            "05".repeat(32),
            Uuid::from_u128(1),
            TIME + 5_000_000
        ),
    )
    .await;
    fill_changes(sql, schema).await;
    fill_audit(sql, schema).await;
    if schema >= 10 {
        let epoch = "UPDATE requests SET epoch = (SELECT value FROM settings WHERE name = 'epoch')";
        run(sql, epoch.to_owned()).await;
    }
}

async fn fill_synced_secrets(sql: &mut SqliteConnection, schema: i64) {
    for secret in secrets() {
        run(
            sql,
            format!(
                "INSERT INTO synced_secrets
                        (uid, id, description, secret_type, labels, generation, create_time, update_time, sync_requests, state,
                         conditions, synced_generation, synced_requests, sync_time, edge_uid, edge_resource_version, edge_digest)
                 VALUES ('{}', '{}', {}, '{}', {}, 3, {}, {}, 2, '{}', {}, 2, 1, {}, 'edge-uid', '77', x'0909')",
                secret.uid,
                secret.id,
                quoted(&secret.description),
                secret.secret_type.as_str(),
                quoted(&json(&secret.labels, &[])),
                secret.create_time.as_microsecond(),
                secret.update_time.as_microsecond(),
                secret.state.as_str(),
                quoted(&json(&secret.conditions, &[])),
                secret.sync_time.map_or("NULL".to_owned(), |time| time.as_microsecond().to_string()),
            ),
        )
        .await;
        for (position, reference) in secret.references.iter().enumerate() {
            let status = &reference.status;
            let text = |text: Option<&str>| text.map_or("NULL".to_owned(), quoted);
            let at =
                |at: Option<Timestamp>| at.map_or("NULL".to_owned(), |at| at.as_microsecond().to_string());
            run(
                sql,
                format!(
                    "INSERT INTO secret_references
                            (uid, position, key, vault_secret, version, encoding, create_pending, synced_version, expire_time,
                             vault_update_time, settled, problem)
                     VALUES ('{}', {position}, '{}', '{}', {}, '{}', {}, {}, {}, {}, {}, {})",
                    secret.uid,
                    reference.key.as_str(),
                    reference.vault_secret.as_str(),
                    text(reference.version.as_ref().map(|version| version.as_str())),
                    reference.encoding.name(),
                    u8::from(reference.create_pending),
                    text(status.synced_version.as_ref().map(|version| version.as_str())),
                    at(status.expire_time),
                    at(status.vault_update_time),
                    u8::from(status.settled),
                    text(status.problem.as_ref().map(|problem| json(problem, &[])).as_deref()),
                ),
            )
            .await;
        }
    }
    let handed = r#"{"generation":3,"requests":2,"time":"2026-09-21T14:13:25Z","sync_generation":4,"class_generation":1,"hash_before":"abc","statuses":[],"open":true}"#;
    let users =
        json(&[User { kind: "AssetEndpointProfile".to_owned(), resource: "press-1".to_owned() }], &[]);
    let later = [
        (2, format!("engine = 'secret-store', handed = {} WHERE id = 'handed'", quoted(handed))),
        (2, "origin = 'UNMANAGED' WHERE id = 'theirs'".to_owned()),
        (3, format!("users = {} WHERE id = 'rotated'", quoted(&users))),
        (3, "delete_forced = 1 WHERE id = 'adopted'".to_owned()),
        (4, "adopted = 'uid-of-a-secretsync' WHERE id = 'adopted'".to_owned()),
    ];
    for (since, change) in later {
        if schema >= since {
            run(sql, format!("UPDATE synced_secrets SET {change}")).await;
        }
    }
    if schema >= 11 {
        let times = format!("not_before_time = {}, held_until = {}", at_seconds(5), at_seconds(6));
        run(sql, format!("UPDATE secret_references SET {times} WHERE key = 'password'")).await;
    }
    if schema >= 12 {
        let certificate = json(&certificate(), &[]);
        let parts = format!("part = 'full-chain', certificate = {}", quoted(&certificate));
        run(sql, format!("UPDATE secret_references SET {parts} WHERE key = 'password'")).await;
    }
    if schema >= 9 {
        run(sql, "UPDATE secret_references SET create_generation = 3 WHERE create_pending = 1".to_owned())
            .await;
    }
}

pub(super) fn certificate() -> CertificateFacts {
    CertificateFacts {
        kind: CertificateKind::Certificate,
        subject: "CN=pump-7".to_owned(),
        issuer: "CN=Contoso".to_owned(),
        subject_alternative_names: vec!["DNS:pump-7.example.com".to_owned()],
        not_before: Some(time(0)),
        not_after: Some(time(86_400)),
        first_not_after: None,
        sha1_thumbprint: "00".repeat(20),
        sha256_thumbprint: "00".repeat(32),
        is_ca: false,
        key_matches: Some(true),
        count: 2,
    }
}

fn at_seconds(seconds: i64) -> i64 {
    time(seconds).as_microsecond()
}

/// Three changes; those of a release without a history begin in none.
async fn fill_changes(sql: &mut SqliteConnection, schema: i64) {
    let (all, mut before) = (secrets(), None);
    for (number, secret) in (1_i64..).zip(&all[..3]) {
        let unknown: &[&str] = if schema < 3 { &["users"] } else { &[] };
        let snapshot = json(secret, unknown);
        let (columns, values) = if schema < 7 {
            ("", String::new())
        } else {
            let before =
                before.replace(snapshot.clone()).map_or("NULL".to_owned(), |text: String| quoted(&text));
            (", before, history", format!(", {before}, x'{}'", hex::encode([number as u8; 16])))
        };
        run(
            sql,
            format!(
                "INSERT INTO changes (uid, kind, snapshot, change_time{columns})
                 VALUES ('{}', 'PUT', {}, {}{values})",
                secret.uid,
                quoted(&snapshot),
                TIME + number
            ),
        )
        .await;
    }
}

/// Four events, and from the schema on that has them two denials among them, chained as the releases of their time did.
async fn fill_audit(sql: &mut SqliteConnection, schema: i64) {
    let (mut changes, mut denials) =
        (Anchor { sequence: 0, hash: AuditHash::START }, Anchor { sequence: 0, hash: AuditHash::START });
    for sequence in 1..=6 {
        let is_denial = schema >= 8 && [2, 5].contains(&sequence);
        let event = AuditEvent {
            sequence,
            event_time: time(sequence),
            actor: if is_denial { "mallory" } else { "alice" }.to_owned(),
            action: AuditAction::CreateSyncedSecret,
            resource: format!("syncedSecrets/{sequence}"),
            outcome: Outcome::ok(),
            detail: "it's done".to_owned(),
            request_id: if sequence == 1 { REQUEST.to_owned() } else { String::new() },
        };
        let (own, beside) = if is_denial { (denials, changes) } else { (changes, denials) };
        let beside = (schema >= 8).then_some(beside.hash);
        let chain = if is_denial { Chain::Denials } else { Chain::Changes };
        let hash = event.hash(&Link { chain, previous_hash: own.hash, beside_hash: beside });
        let end = Anchor { sequence, hash };
        let mut more = Vec::new();
        if schema >= 5 {
            more.push(("hash", format!("x'{}'", hex::encode(hash.0))));
        }
        if schema >= 7 {
            more.push(("kept_since", event.event_time.as_microsecond().to_string()));
        }
        if let Some(beside) = beside {
            more.push(("beside", format!("x'{}'", hex::encode(beside.0))));
        }
        if is_denial {
            let so_far = if sequence == 2 { 1 } else { 2 };
            more.extend([("rows_so_far", so_far.to_string()), ("bytes_so_far", (so_far * 300).to_string())]);
        }
        let (table, end_of) =
            if is_denial { ("audit_denials", &mut denials) } else { ("audit_events", &mut changes) };
        *end_of = end;
        let columns: String = more.iter().map(|(column, _)| format!(", {column}")).collect();
        let values: String = more.iter().map(|(_, value)| format!(", {value}")).collect();
        run(
            sql,
            format!(
                "INSERT INTO {table} (sequence, event_time, actor, action, resource, outcome, detail, request_id{columns})
                 VALUES ({sequence}, {}, '{}', '{}', '{}', '{}', {}, '{}'{values})",
                event.event_time.as_microsecond(),
                event.actor,
                event.action,
                event.resource,
                event.outcome.0,
                quoted(&event.detail),
                event.request_id,
            ),
        )
        .await;
    }
    let hash = |anchor: Anchor| format!("x'{}'", hex::encode(anchor.hash.0));
    if schema >= 5 {
        run(
            sql,
            format!(
                "INSERT INTO audit_chain (one, base_sequence, base_hash, head_sequence, head_hash)
                 VALUES (1, 0, zeroblob(32), {}, {})",
                changes.sequence,
                hash(changes)
            ),
        )
        .await;
    }
    if schema >= 8 {
        let (sequence, hash) = (denials.sequence, hash(denials));
        run(
            sql,
            format!("UPDATE audit_chain SET denials_head_sequence = {sequence}, denials_head_hash = {hash}"),
        )
        .await;
    }
}
