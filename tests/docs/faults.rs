//! The fault matrix of `docs/reliability.md`. Each row names the tests that prove it; the test of the page fails if one is missing.

use std::{fmt::Write, path::Path};

/// A fault, its effects, and the tests that prove them.
struct Row {
    fault: &'static str,
    callers_see: &'static str,
    afterwards: &'static str,
    within: &'static str,
    /// Each as `FILE::FUNCTION`, the file below the root of the repository.
    held_by: &'static [&'static str],
}

const VAULT: &[Row] = &[
    Row {
        fault: "a token that is revoked or expires early (401)",
        callers_see: "nothing",
        afterwards: "the call itself gets a new token",
        within: "at once",
        held_by: &[
            "src/vault/tests/identity.rs::a_token_that_the_vault_no_longer_accepts_is_replaced_within_the_call",
            "tests/service/vault_faults.rs::callers_do_not_notice_the_renewal_of_an_expired_token",
        ],
    },
    Row {
        fault: "a client secret, or a workload's token file, that has expired",
        callers_see: "`Reachable` is false and names the file",
        afterwards: "the renewed file is read without a restart",
        within: "20 s",
        held_by: &[
            "tests/service/renewed.rs::a_renewed_client_secret_file_is_used_without_a_restart",
            "src/vault/tests/identity.rs::a_renewed_token_file_is_read_soon_after_the_old_one_was_refused",
        ],
    },
    Row {
        fault: "a right that is missing, the firewall, a disabled version (403)",
        callers_see: "synced secrets are DEGRADED, with the remedy; new references are refused",
        afterwards: "both engines retry with back-off, at least once a minute",
        within: "20 s after a few attempts",
        held_by: &[
            "tests/service/vault_faults.rs::a_fix_in_the_vault_is_noticed_before_the_next_rotation_check",
            "tests/service/vault_faults.rs::each_vault_error_has_its_code_reason_and_remedy",
        ],
    },
    Row {
        fault: "one of several references can't be read",
        callers_see: "DEGRADED; the reference is named, the others are `HeldBack`",
        afterwards: "the edge keeps the last complete set until all can be read",
        within: "at once, by \"Sync now\"",
        held_by: &[
            "tests/service/rotation.rs::an_unreadable_reference_keeps_the_last_complete_set_at_the_edge",
        ],
    },
    Row {
        fault: "a vault secret that is deleted (404)",
        callers_see: "DEGRADED, `VaultSecretDeleted`",
        afterwards: "the edge keeps what it has",
        within: "",
        held_by: &[
            "tests/service/rotation.rs::without_list_rights_a_deleted_secret_is_reported_and_an_unreadable_one_is_not",
        ],
    },
    Row {
        fault: "the name of a soft-deleted vault secret (409)",
        callers_see: "FAILED_PRECONDITION: recover or purge it",
        afterwards: "nothing of the call is recorded",
        within: "",
        held_by: &["tests/service/create_new.rs::a_soft_deleted_name_is_refused_with_a_remedy"],
    },
    Row {
        fault: "throttling (429), with and without Retry-After",
        callers_see: "RESOURCE_EXHAUSTED with RetryInfo, at once",
        afterwards: "the whole client pauses for that time",
        within: "Retry-After, at most 5 min",
        held_by: &[
            "src/vault/tests/faults.rs::a_429_fails_at_once_and_pauses_the_whole_client",
            "src/vault/tests/faults.rs::after_a_short_pause_the_client_goes_on",
            "tests/service/vault_faults.rs::a_retry_after_is_passed_on_and_respected_by_the_whole_client",
        ],
    },
    Row {
        fault: "500, 503, a reset, a truncated, malformed or foreign response",
        callers_see: "UNAVAILABLE with the remedy; readers don't notice a single failure",
        afterwards: "reads are retried, a value is sent once",
        within: "",
        held_by: &[
            "tests/service/vault_faults.rs::each_vault_error_has_its_code_reason_and_remedy",
            "src/vault/tests/faults.rs::a_broken_connection_retries_a_read_and_never_a_write",
            "src/vault/tests/faults.rs::readers_do_not_notice_a_single_vault_failure",
            "src/vault/tests/faults.rs::a_response_that_is_not_key_vaults_is_malformed",
        ],
    },
    Row {
        fault: "the vault hangs or is unreachable",
        callers_see: "reads, lists and deletions still work; calls that need the vault are UNAVAILABLE; `Reachable` is false",
        afterwards: "everything becomes SYNCED automatically",
        within: "20 s after a short outage",
        held_by: &[
            "tests/service/vault_faults.rs::reads_lists_and_deletes_continue_while_the_vault_is_down",
            "tests/service/side_by_side/workers.rs::a_hanging_vault_blocks_neither_deletions_nor_unrelated_synced_secrets",
        ],
    },
    Row {
        fault: "the answer to \"Create new\" is lost",
        callers_see: "UNAVAILABLE",
        afterwards: "a retry with the same `request_id` finishes it; the value is stored once",
        within: "at once",
        held_by: &[
            "tests/service/vault_faults.rs::a_retry_finishes_a_create_with_a_lost_response_and_stores_once",
        ],
    },
    Row {
        fault: "page links that loop or lead to another host",
        callers_see: "UNAVAILABLE",
        afterwards: "no token is sent to another host",
        within: "",
        held_by: &[
            "tests/service/vault_faults.rs::a_list_that_loops_or_leaves_the_vault_is_refused",
            "src/vault/tests.rs::a_next_link_that_leaves_the_list_is_refused_and_not_followed",
        ],
    },
    Row {
        fault: "a version that expires",
        callers_see: "condition `Expiring`: `ExpiresSoon`, then `Expired`",
        afterwards: "it stays SYNCED",
        within: "the next check",
        held_by: &["tests/service/rotation.rs::a_version_is_reported_as_expired_without_any_other_event"],
    },
    Row {
        fault: "the vault's CA changes",
        callers_see: "`Reachable` is false and names TLS",
        afterwards: "`vault.ca_file` is reloaded; a partial file is ignored",
        within: "20 s",
        held_by: &["tests/service/renewed.rs::a_renewed_vault_ca_file_is_trusted_without_a_restart"],
    },
    Row {
        fault: "a version that is not yet valid",
        callers_see: "SYNCED, and the condition `NotYetValid` with the time; in the direct engine, `sync.not_before = hold` keeps the last complete set at the edge",
        afterwards: "where it is held, the new versions are synced when they are valid",
        within: "a second",
        held_by: &[
            "tests/service/rotation.rs::a_version_that_is_not_yet_valid_is_synced_like_any_other",
            "tests/service/words/not_before.rs::with_warn_it_is_synced_and_a_condition_says_it_until_it_is_valid",
            "tests/service/words/not_before.rs::with_hold_the_edge_keeps_the_last_set_and_gets_the_new_one_at_its_time_without_a_change_in_the_vault",
            "tests/service/words/not_before.rs::in_the_secret_store_engine_hold_acts_as_warn_and_says_so_with_what_keeps_a_version_at_the_edge",
        ],
    },
    Row {
        fault: "a vault of 10,000 secrets",
        callers_see: "each is listed once, page by page; synced ones are followed",
        afterwards: "",
        within: "",
        held_by: &[
            "tests/service/add_existing.rs::ten_thousand_vault_secrets_are_each_listed_once_and_the_synced_one_is_followed",
        ],
    },
];

const CLUSTER: &[Row] = &[
    Row {
        fault: "a token or CA of the kubeconfig has expired (401, TLS)",
        callers_see: "`SecureSettings` is not true and names the file",
        afterwards: "the kubeconfig and its files are reloaded",
        within: "20 s",
        held_by: &[
            "tests/service/renewed.rs::a_renewed_kubeconfig_is_used_without_a_restart",
            "tests/service/renewed.rs::a_renewed_cluster_ca_file_is_trusted_without_a_restart",
            "src/edge/client/tests.rs::a_client_certificate_that_is_renewed_in_the_kubeconfig_or_in_its_file_is_shown_within_seconds",
        ],
    },
    Row {
        fault: "403, 422, 429, 500, a connection that breaks",
        callers_see: "FAILED with the reason and the remedy",
        afterwards: "the service retries at least once a minute",
        within: "20 s after a first attempt",
        held_by: &[
            "tests/service/edge_faults.rs::a_refused_or_failed_write_sets_a_reason_and_is_retried",
            "tests/service/races/retries.rs::a_restored_right_takes_effect_without_another_call",
        ],
    },
    Row {
        fault: "the namespace was deleted (404)",
        callers_see: "FAILED, `EdgeRejected`; the message names the namespace to create",
        afterwards: "the Secret is written once the namespace exists",
        within: "20 s after a first attempt",
        held_by: &[
            "tests/service/edge_faults.rs::a_missing_namespace_is_reported_and_syncing_resumes_when_it_exists",
        ],
    },
    Row {
        fault: "a Retry-After of a century",
        callers_see: "FAILED; other synced secrets are not delayed",
        afterwards: "\"Sync now\" does not wait for it",
        within: "at once, by \"Sync now\"",
        held_by: &["tests/service/races/retries.rs::a_retry_after_of_a_century_blocks_no_other_work"],
    },
    Row {
        fault: "a write without an answer",
        callers_see: "nothing lasting",
        afterwards: "the written Secret is found and is no conflict",
        within: "20 s",
        held_by: &[
            "tests/service/edge_faults.rs::a_write_with_a_lost_response_is_recognized_and_not_a_conflict",
        ],
    },
    Row {
        fault: "a watch that expires (410) or ends",
        callers_see: "nothing",
        afterwards: "drift is still noticed",
        within: "20 s",
        held_by: &[
            "tests/service/edge_faults.rs::a_watch_that_expires_or_breaks_is_resumed_and_drift_is_still_noticed",
        ],
    },
    Row {
        fault: "any watch that stays silent and never ends",
        callers_see: "uses and drift as before",
        afterwards: "everything is listed again",
        within: "a minute",
        held_by: &[
            "tests/service/usages/silence.rs::every_silent_watch_is_detected_within_a_minute",
            "src/edge/watches.rs::a_watch_that_is_silent_over_all_its_connections_relists",
            "src/edge/watches.rs::every_client_of_the_api_server_and_every_watch_is_made_in_one_place",
        ],
    },
    Row {
        fault: "etcd is down (real control plane)",
        callers_see: "DEGRADED, `EdgeUnreachable`; creations are UNAVAILABLE with RetryInfo",
        afterwards: "the edge equals the vault",
        within: "20 s after the API server is ready",
        held_by: &["tests/control_plane/store.rs::the_service_degrades_without_etcd_and_recovers_by_itself"],
    },
    Row {
        fault: "a Secret that would be larger than 1 MiB",
        callers_see: "INVALID_ARGUMENT, before anything is written (direct engine)",
        afterwards: "",
        within: "",
        held_by: &[
            "tests/service/edge_faults.rs::values_that_together_exceed_a_kubernetes_secret_are_refused_before_anything_is_written",
        ],
    },
    Row {
        fault: "somebody makes a Secret immutable (Secret Store engine)",
        callers_see: "DEGRADED, `EdgeRejected`: delete the Secret",
        afterwards: "once deleted, it is created again",
        within: "20 s",
        held_by: &["tests/service/secret_store/conditions.rs::an_immutable_secret_is_reported_with_a_remedy"],
    },
    Row {
        fault: "a Secret that a finalizer holds",
        callers_see: "DELETING; the message names the finalizer",
        afterwards: "the deletion finishes when the finalizer is removed",
        within: "20 s",
        held_by: &[
            "tests/service/edge_faults.rs::a_deletion_waits_until_the_finalizer_of_the_secret_is_removed",
        ],
    },
    Row {
        fault: "a kind is added, removed, served in another version, or briefly not served",
        callers_see: "the uses in the cluster; a deletion is refused while one may be hidden",
        afterwards: "",
        within: "20 s",
        held_by: &[
            "tests/service/usages/luck.rs::configured_rules_follow_kinds_that_are_installed_and_removed",
            "tests/service/usages/luck.rs::a_kind_is_watched_in_the_preferred_version_of_its_group",
            "tests/service/usages/luck.rs::the_uses_of_a_kind_that_is_briefly_not_served_are_kept",
        ],
    },
    Row {
        fault: "somebody edits or deletes a Secret, or removes its labels",
        callers_see: "an audit event `DriftRepaired`",
        afterwards: "it is restored",
        within: "20 s",
        held_by: &[
            "tests/service/edge_faults.rs::an_edit_by_hand_is_repaired_and_recorded",
            "tests/service/edge_faults.rs::a_deleted_secret_is_recreated_even_if_it_was_deleted_during_downtime",
            "tests/service/edge_faults.rs::a_removed_label_is_restored",
        ],
    },
    Row {
        fault: "somebody replaces a Secret with their own",
        callers_see: "DEGRADED, `EdgeConflict`",
        afterwards: "the other Secret is neither written nor deleted",
        within: "",
        held_by: &[
            "tests/service/edge_faults.rs::a_secret_replaced_by_another_client_is_a_conflict_and_never_overwritten",
        ],
    },
];

const ISSUER: &[Row] = &[
    Row {
        fault: "the OpenID Connect issuer does not answer",
        callers_see: "nothing for 24 h; without keys, or with a key that the service does not know, UNAVAILABLE, `ACCESS_UNDECIDED`",
        afterwards: "its last keys stay valid, and it is asked again every 10 s at most",
        within: "10 s",
        held_by: &[
            "tests/service/access/oidc.rs::while_the_issuer_is_down_its_known_keys_count_and_a_service_without_keys_asks_to_retry",
        ],
    },
    Row {
        fault: "the OpenID Connect issuer signs with another key",
        callers_see: "nothing",
        afterwards: "the first token with the new key causes a fetch; a withdrawn key ends within twice `authentication.oidc.key_cache`",
        within: "10 s",
        held_by: &["tests/service/access/oidc.rs::a_new_key_of_the_issuer_works_and_a_withdrawn_one_stops"],
    },
];

const LEASE: &[Row] = &[
    Row {
        fault: "a second process with another database",
        callers_see: "it serves reads; changes there are UNAVAILABLE, `NOT_LEADER`, with the holder's name",
        afterwards: "it takes over when the leader has stopped or its Lease has expired",
        within: "5 s; 20 s after kill -9",
        held_by: &[
            "tests/service/leader/mod.rs::a_standby_serves_reads_names_the_holder_and_takes_over_at_once_when_it_stops",
            "tests/service/leader/mod.rs::a_killed_service_resumes_at_once_on_its_own_database_and_on_a_copy_only_after_the_lease_expires",
            "tests/process/leader.rs::one_process_writes_and_the_other_takes_over_when_it_stops_or_is_killed",
        ],
    },
    Row {
        fault: "a new leader whose database lacks changes of the previous leader",
        callers_see: "changes are UNAVAILABLE, `DATABASE_REBUILDING`, until it has caught up",
        afterwards: "creations and changes are recovered from the edge; deleted synced secrets wait for a user's decision",
        within: "25 s",
        held_by: &[
            "tests/service/leader/mod.rs::a_takeover_with_an_older_database_reverts_no_acknowledged_change",
        ],
    },
    Row {
        fault: "the leader is cut off from the whole cluster",
        callers_see: "after 10 s changes are UNAVAILABLE, `EDGE_UNREACHABLE`; reads still work",
        afterwards: "it stops writing, and cancels running writes, before another process can become the leader",
        within: "5 s",
        held_by: &[
            "tests/service/leader/partition.rs::a_holder_without_the_api_server_stops_writing_before_the_other_takes_over",
            "tests/service/leader/partition.rs::a_running_write_at_the_edge_is_cancelled_before_the_lease_expires",
        ],
    },
    Row {
        fault: "no right to the Lease",
        callers_see: "changes are PERMISSION_DENIED, `EDGE_FORBIDDEN`, and the error names the missing right",
        afterwards: "changes are accepted once the right is granted",
        within: "5 s",
        held_by: &[
            "tests/service/leader/mod.rs::without_the_right_to_the_lease_a_change_fails_and_names_the_right",
        ],
    },
];

const DISK: &[Row] = &[
    Row {
        fault: "the disk is full",
        callers_see: "writes are RESOURCE_EXHAUSTED, `DATABASE_FULL`; reads still work; health is NOT_SERVING",
        afterwards: "writes and health recover once there is space; the log hardly grows meanwhile",
        within: "20 s",
        held_by: &[
            "tests/process/disk.rs::a_full_disk_accepts_writes_again_without_a_restart",
            "tests/service/disk.rs::a_full_disk_loses_no_acknowledged_change_and_accepts_writes_again",
        ],
    },
    Row {
        fault: "the disk fails writes, or the file is not writable",
        callers_see: "writes are INTERNAL, `DATABASE_FAILED`, then UNAVAILABLE, `DATABASE_READ_ONLY`; reads still work; health is NOT_SERVING",
        afterwards: "writes and health recover when the disk does",
        within: "20 s",
        held_by: &[
            "tests/process/disk.rs::a_disk_that_fails_writes_is_reported_and_used_again_when_it_recovers",
        ],
    },
    Row {
        fault: "another process holds the database",
        callers_see: "writes wait 5 s, then are UNAVAILABLE, `DATABASE_BUSY`; reads still work; health is NOT_SERVING",
        afterwards: "writes and health recover when it releases the database",
        within: "20 s",
        held_by: &[
            "tests/process/disk.rs::a_database_locked_by_another_process_accepts_writes_again_when_the_lock_ends",
        ],
    },
    Row {
        fault: "a page is damaged",
        callers_see: "calls that need the page are INTERNAL, `DATABASE_CORRUPT`; health stays NOT_SERVING",
        afterwards: "the next start refuses the file",
        within: "a start with an intact file",
        held_by: &["tests/process/disk.rs::a_damaged_page_is_reported_and_no_longer_read"],
    },
    Row {
        fault: "the file is removed or replaced",
        callers_see: "nothing is acknowledged: UNAVAILABLE, `DATABASE_LOST`; the process ends",
        afterwards: "the next start uses the file that is there",
        within: "a start",
        held_by: &[
            "tests/process/disk.rs::a_database_file_that_is_removed_or_replaced_ends_the_service_before_it_acknowledges_anything",
        ],
    },
    Row {
        fault: "a database of a newer release",
        callers_see: "the service does not start",
        afterwards: "the file is not changed",
        within: "",
        held_by: &[
            "src/store/tests/backup.rs::a_database_of_a_newer_release_is_refused_with_the_release_that_made_it",
        ],
    },
    Row {
        fault: "a database of an older release",
        callers_see: "nothing",
        afterwards: "it is backed up, then migrated with all its data; the tests have a database of every released schema",
        within: "the start",
        held_by: &[
            "src/store/tests/schemas.rs::a_database_of_every_schema_is_migrated_without_data_loss",
            "src/store/tests/schemas.rs::the_backup_before_a_migration_can_be_restored_and_the_last_three_are_kept",
        ],
    },
    Row {
        fault: "the database is lost",
        callers_see: "unknown names are UNAVAILABLE, `DATABASE_REBUILDING`, and health is NOT_SERVING, until the edge has been read",
        afterwards: "the synced secrets are rebuilt from the edge, without writing to it; unreadable ones are UNMANAGED, `NotRecorded`",
        within: "20 s, once the cluster answers",
        held_by: &[
            "tests/service/rebuild/mod.rs::a_lost_database_is_rebuilt_with_the_complete_specification",
            "tests/service/rebuild/mod.rs::a_rebuild_touches_nothing_at_the_edge",
            "tests/service/rebuild/meanwhile.rs::a_name_is_reported_absent_only_after_the_rebuild",
            "tests/service/rebuild/listed.rs::a_secret_that_cannot_be_read_in_full_is_listed_with_the_reason_and_can_be_adopted",
            "tests/service/rebuild/mod.rs::a_secret_that_the_extension_merged_into_stays_its_owners_when_the_database_is_lost",
            "tests/process/rebuild.rs::a_database_is_rebuilt_while_no_service_runs",
        ],
    },
    Row {
        fault: "kill -9 at any point, with the loss of the database",
        callers_see: "a broken connection",
        afterwards: "each synced secret at the edge is rebuilt completely; others don't exist",
        within: "20 s",
        held_by: &[
            "tests/process/rebuild.rs::a_create_that_is_killed_anywhere_and_loses_its_database_is_rebuilt_from_the_edge",
            "tests/process/rebuild.rs::a_change_that_is_killed_anywhere_and_loses_its_database_is_rebuilt_from_the_edge",
            "tests/process/rebuild.rs::a_rebuild_that_is_killed_at_any_moment_is_finished_by_the_next_start",
        ],
    },
    Row {
        fault: "the database is restored from a backup",
        callers_see: "resume tokens are OUT_OF_RANGE; earlier request ids and page tokens are refused",
        afterwards: "later creations and changes are recovered from the edge; synced secrets deleted since wait for a user's decision, `NotAtEdgeAfterRestore`",
        within: "20 s",
        held_by: &[
            "tests/process/backup.rs::a_restored_database_starts_a_new_history_for_all_callers",
            "tests/service/restored.rs::changes_after_the_backup_are_recovered_from_the_edge",
            "tests/service/restored.rs::a_synced_secret_deleted_after_the_backup_waits_for_a_sync_or_a_deletion",
            "src/store/tests/backup.rs::a_restore_that_is_killed_anywhere_leaves_the_old_database_or_the_new_one",
        ],
    },
    Row {
        fault: "a backup while eight callers write",
        callers_see: "nothing",
        afterwards: "it contains every change answered before it, and nothing that was never requested",
        within: "",
        held_by: &[
            "tests/process/backup.rs::a_backup_during_eight_writers_contains_every_acknowledged_write_and_nothing_unrequested",
        ],
    },
    Row {
        fault: "the disk with CA files or kubeconfigs hangs",
        callers_see: "nothing: the previous content stays in use",
        afterwards: "the files are read when the disk answers",
        within: "at once",
        held_by: &[
            "tests/service/renewed.rs::files_on_a_hanging_disk_block_no_call",
            "src/files.rs::a_hanging_disk_blocks_no_caller_and_gets_one_read",
        ],
    },
];

const PROCESS: &[Row] = &[
    Row {
        fault: "kill -9 at any point where a creation waits",
        callers_see: "a broken connection",
        afterwards: "a retry with the same `request_id` finishes it and stores nothing twice; without a retry, SYNCED or `ValueNotStored`",
        within: "the next start",
        held_by: &[
            "tests/process/crash.rs::a_create_that_is_killed_anywhere_is_finished_by_its_retry_and_nothing_is_stored_twice",
            "tests/process/crash.rs::a_create_that_is_killed_and_not_retried_is_finished_or_reports_a_remedy",
        ],
    },
    Row {
        fault: "kill -9 during an adoption, an update, a rotation, a deletion, a hand-over between the engines",
        callers_see: "a broken connection",
        afterwards: "it continues automatically, an adoption with its `request_id`; the edge never has a mix of old and new values",
        within: "the next start",
        held_by: &[
            "tests/process/crash.rs::an_adoption_that_is_killed_anywhere_is_finished_by_its_retry_and_keeps_the_secret",
            "tests/process/crash.rs::an_update_a_rotation_and_a_delete_resume_by_themselves_after_a_kill",
            "tests/process/handover.rs::a_hand_over_to_the_extension_that_is_killed_anywhere_completes_with_the_same_secret",
            "tests/process/handover.rs::a_hand_over_back_that_is_killed_anywhere_completes_with_the_same_secret",
        ],
    },
    Row {
        fault: "SIGTERM during calls and watches",
        callers_see: "calls are finished within `server.drain`; watches, and calls after that, are UNAVAILABLE, `STOPPING`",
        afterwards: "the next start continues with the recorded changes",
        within: "",
        held_by: &[
            "tests/service/life.rs::running_calls_complete_during_a_shutdown",
            "tests/process/shutdown.rs::a_call_and_a_watch_ended_by_the_shutdown_learn_the_reason",
        ],
    },
    Row {
        fault: "SIGTERM with idle connections, stalled handshakes and vanished peers",
        callers_see: "their connection is closed",
        afterwards: "the process ends",
        within: "5 s",
        held_by: &["tests/process/shutdown.rs::idle_connections_do_not_delay_the_shutdown"],
    },
    Row {
        fault: "a restart with watchers attached",
        callers_see: "the command line waits and resumes",
        afterwards: "they continue at their position",
        within: "20 s",
        held_by: &["tests/process/people/connection.rs::a_watch_resumes_after_the_service_restarts"],
    },
    Row {
        fault: "the wall clock is set forward by a year and back",
        callers_see: "nothing; `check` warns, and a metric shows the skew",
        afterwards: "nothing is pruned, no token expires, rotation continues",
        within: "",
        held_by: &[
            "tests/process/clock.rs::setting_the_clock_forward_by_a_year_and_back_prunes_nothing_and_delays_nobody",
            "tests/process/clock.rs::check_and_metrics_report_the_clock_skew",
        ],
    },
    Row {
        fault: "a low limit of open files, and many connections",
        callers_see: "new connections are accepted; unauthenticated ones are evicted",
        afterwards: "the process never runs out of file descriptors; the log shows the limit at the start",
        within: "",
        held_by: &["tests/process/doors.rs::a_low_file_limit_bounds_the_connections_and_is_never_exhausted"],
    },
    Row {
        fault: "1,000 callers at once",
        callers_see: "an answer, or RESOURCE_EXHAUSTED with RetryInfo",
        afterwards: "",
        within: "",
        held_by: &["tests/service/life.rs::a_thousand_concurrent_callers_get_an_answer_or_a_retry_delay"],
    },
    Row {
        fault: "fields at, below and above their limits, unknown enum values, duplicate keys",
        callers_see: "INVALID_ARGUMENT that names every field at once",
        afterwards: "nothing is changed",
        within: "",
        held_by: &[
            "tests/service/bad_input.rs::every_mistake_of_a_create_is_reported_at_once_and_nothing_is_changed",
            "tests/service/bad_input.rs::a_value_of_25600_bytes_is_accepted_and_one_byte_more_is_not",
            "tests/service/bad_input.rs::a_message_over_the_limit_is_refused_before_it_is_read",
        ],
    },
    Row {
        fault: "a repeated `request_id`",
        callers_see: "the same answer; INVALID_ARGUMENT if the content differs",
        afterwards: "nothing is done twice",
        within: "",
        held_by: &[
            "tests/service/idempotency.rs::a_repeated_create_returns_the_same_response_and_creates_nothing_twice",
            "tests/service/idempotency.rs::a_request_id_with_other_content_is_refused_even_if_only_a_value_differs",
            "tests/service/idempotency.rs::ten_callers_with_one_request_id_create_once",
        ],
    },
];

/// The sections of the matrix.
pub fn matrix() -> String {
    let mut page = String::new();
    let sections = [
        ("The vault", VAULT),
        ("The cluster", CLUSTER),
        ("The OpenID Connect issuer", ISSUER),
        ("The Lease", LEASE),
        ("The disk and the database", DISK),
        ("The process and its callers", PROCESS),
    ];
    for (name, rows) in sections {
        let _ = write!(
            page,
            "### {name}\n\n| fault | what callers see | afterwards | back within | tests |\n|---|---|---|---|---|\n"
        );
        for Row { fault, callers_see, afterwards, within, held_by } in rows {
            let tests: Vec<_> =
                held_by.iter().map(|test| format!("`{}`", test.rsplit("::").next().unwrap())).collect();
            let _ = writeln!(
                page,
                "| {fault} | {callers_see} | {afterwards} | {within} | {} |",
                tests.join(", ")
            );
        }
        page.push('\n');
    }
    page
}

/// The tests that are named and are not there.
pub fn missing() -> Vec<&'static str> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let is_there = |test: &str| {
        let (file, function) = test.split_once("::").expect("FILE::FUNCTION");
        let text = std::fs::read_to_string(root.join(file)).unwrap_or_default();
        let Some(place) = text.find(&format!("fn {function}(")) else { return false };
        // What stands before it, up to the end of the function before.
        let before = text[..place].rsplit("}\n").next().unwrap_or_default();
        before.contains("#[test") || before.contains("#[tokio::test")
    };
    let rows = [VAULT, CLUSTER, ISSUER, LEASE, DISK, PROCESS].into_iter().flatten();
    rows.flat_map(|row| row.held_by).copied().filter(|test| !is_there(test)).collect()
}
