"""What the service talks about, as plain immutable Python: dataclasses, enums, aware datetimes."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from ._values import Secret, SecretData, SecretValue, hidden


class _WireEnum(enum.Enum):
    """An enum of the contract; a number that this release doesn't know reads as ``UNSPECIFIED``."""

    @classmethod
    def _missing_(cls, value: object) -> _WireEnum | None:
        return cls(0) if isinstance(value, int) and value != 0 else None

    def __str__(self) -> str:
        return self.name


class SyncEngine(_WireEnum):
    """How synced secrets reach the edge."""

    UNSPECIFIED = 0
    SECRET_STORE = 1
    DIRECT = 2


class State(_WireEnum):
    """How far a synced secret is."""

    UNSPECIFIED = 0
    PENDING = 1
    """Accepted; the edge does not hold it yet."""
    SYNCED = 2
    """The edge holds what the references say."""
    DEGRADED = 3
    """The edge holds the last known values; the latest attempt failed, see the conditions."""
    FAILED = 4
    """Never synced, and the latest attempt failed, see the conditions."""
    DELETING = 5


class Origin(_WireEnum):
    """Who made a synced secret."""

    UNSPECIFIED = 0
    MANAGED = 1
    """Created or adopted through the service."""
    UNMANAGED = 2
    """Found at the edge, made by another tool; read-only until adopted."""


class Encoding(_WireEnum):
    """How the value in the vault becomes the bytes at the edge."""

    UNSPECIFIED = 0
    """As the tag ``file-encoding`` of the vault secret says; the value's bytes as they are where it has none."""
    BASE64 = 1
    """The value is base64; the edge gets the decoded bytes."""
    HEX = 2
    UTF8 = 3
    """The value's bytes as they are, whatever the tag says."""


class Part(_WireEnum):
    """What a key gets of a value that holds a certificate."""

    UNSPECIFIED = 0
    """The part that a reference has already; otherwise as ``WHOLE``."""
    CERTIFICATE = 1
    CHAIN = 2
    """The certificates of its issuers."""
    PRIVATE_KEY = 3
    FULL_CHAIN = 4
    """The certificate and then its chain."""
    PFX = 5
    """The bytes of the PFX file."""
    WHOLE = 6
    """The value; in a Secret of type ``kubernetes.io/tls``: certificates for ``tls.crt``, a key for ``tls.key``."""


class ConditionStatus(_WireEnum):
    """Whether a condition holds."""

    UNSPECIFIED = 0
    TRUE = 1
    FALSE = 2
    UNKNOWN = 3


@dataclass(frozen=True, slots=True)
class Condition:
    """One thing that is so, or isn't, and why."""

    type: str
    status: ConditionStatus
    reason: str
    """CamelCase and stable, for programs."""
    message: str
    """For people: what happened and what to do next."""
    last_transition_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Vault:
    """The Key Vault that the instance is bound to, and what a check found that is some seconds old at most."""

    name: str
    uri: str
    tenant_id: str
    engine: SyncEngine
    conditions: tuple[Condition, ...] = ()
    check_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class VaultSecret:
    """A secret in the vault, without its value."""

    name: str
    """``vaultSecrets/{id}``"""
    enabled: bool
    content_type: str
    create_time: datetime | None = None
    update_time: datetime | None = None
    not_before_time: datetime | None = None
    expire_time: datetime | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    managed: bool = False
    """Whether the vault manages it as part of a certificate."""
    synced_secrets: tuple[str, ...] = ()
    """Names of the synced secrets that hold a reference to it."""
    encoding: Encoding = Encoding.UNSPECIFIED
    """Of the value, as its tag ``file-encoding`` says."""

    @property
    def id(self) -> str:
        """The last part of the name."""
        return self.name.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class VaultSecretVersion:
    """A version of a secret in the vault, without its value."""

    name: str
    """``vaultSecrets/{id}/versions/{version}``"""
    enabled: bool
    create_time: datetime | None = None
    not_before_time: datetime | None = None
    expire_time: datetime | None = None
    content_type: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The last part of the name."""
        return self.name.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class NewVaultSecret:
    """What "Create new" stores in the vault. Only ever sent, never received."""

    value: SecretValue | SecretData
    """A text; or bytes, such as the file of a certificate, which the vault keeps in ``encoding``."""
    content_type: str = ""
    not_before_time: datetime | None = None
    expire_time: datetime | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    encoding: Encoding = Encoding.UNSPECIFIED
    """Of what the vault keeps; sets the tag ``file-encoding``.

    Where it is left out, bytes are kept in hex, and those of a new version as the ones before.
    """

    def __post_init__(self) -> None:
        # Whoever hands over a plain string or plain bytes gets them wrapped all the same.
        object.__setattr__(self, "value", hidden(self.value))


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """What everybody may know of a certificate, or of a certificate revocation list."""

    subject: str = ""
    """Empty for a revocation list."""
    issuer: str = ""
    subject_alternative_names: tuple[str, ...] = ()
    """``DNS:pump.example.com``, ``IP:10.0.0.4`` …"""
    not_before_time: datetime | None = None
    expire_time: datetime | None = None
    """Of a revocation list: when the next one is due."""
    sha1_thumbprint: str = ""
    sha256_thumbprint: str = ""
    is_ca: bool = False
    key_matches: bool | None = None
    """Whether the private key of the same synced secret belongs to it; ``None`` without one, or where none was read."""
    certificate_count: int = 0
    revocation_list: bool = False


@dataclass(frozen=True, slots=True)
class SecretReference:
    """One vault secret, saved under ``key`` in the Kubernetes Secret.

    For references to send, :func:`existing` and :func:`new` are shorter.
    """

    key: str
    vault_secret: str
    """``vaultSecrets/{id}``"""
    version: str = ""
    """Pinned version; follows the latest where empty."""
    encoding: Encoding = Encoding.UNSPECIFIED
    create: NewVaultSecret | None = None
    """Only ever sent: create the vault secret first."""
    synced_version: str = ""
    """Only ever received: the version that the edge holds."""
    expire_time: datetime | None = None
    problem: Condition | None = None
    """Only ever received: why this reference is not in sync."""
    part: Part = Part.UNSPECIFIED
    certificate: CertificateFacts | None = None
    """Only ever received: the certificate or revocation list at the edge."""


@dataclass(frozen=True, slots=True)
class SecretUsage:
    """A field of an Azure IoT Operations resource that names a synced secret."""

    api_version: str
    kind: str
    namespace: str
    resource: str
    field: str
    key: str = ""
    """The key that it uses; empty where it uses the whole secret."""
    key_missing: bool = False
    synced_secret: str = ""
    """``syncedSecrets/{id}``, whether it exists or not."""
    secret_missing: bool = False
    guessed: bool = False
    """Whether only the field's name says that it names a secret."""


@dataclass(frozen=True, slots=True)
class CheckedUsage:
    """A field of a manifest that names a secret, and what is wrong with that secret."""

    usage: SecretUsage
    """A name or a key that nothing can have is left out, in case that it is a value."""
    problem: Condition | None = None
    """Absent where all is well. With ``ConditionStatus.FALSE``, the resource can't work."""


@dataclass(frozen=True, slots=True)
class CheckedResource:
    """A resource of a manifest, and what it needs from secrets."""

    api_version: str
    kind: str
    namespace: str
    resource: str
    kind_unknown: bool = False
    """Whether nobody knows which fields of this kind name secrets: without usages, it may name some all the same."""
    usages: tuple[CheckedUsage, ...] = ()
    problems: tuple[Condition, ...] = ()
    """What is wrong with the resource itself."""

    @property
    def can_work(self) -> bool:
        """Whether no problem is known that keeps it from working."""
        found = (*self.problems, *(checked.problem for checked in self.usages))
        return all(problem is None or problem.status is not ConditionStatus.FALSE for problem in found)


@dataclass(frozen=True, slots=True)
class PurposeKey:
    """A key that a purpose asks for."""

    key: str
    """Its name; a proposal where ``free_name``."""
    title: str = ""
    required: bool = False
    free_name: bool = False
    """Whether the resource names the key, so that it can have any name."""


@dataclass(frozen=True, slots=True)
class PurposeField:
    """A field of a resource that can name a secret for a purpose."""

    group: str
    kind: str
    field: str
    key: str = ""
    """The key of the purpose that it names; empty where it names the whole secret."""


@dataclass(frozen=True, slots=True)
class SecretPurpose:
    """What a synced secret can be for."""

    id: str
    """What ``create_synced_secret`` takes as ``purpose``."""
    title: str
    description: str = ""
    secret_types: tuple[str, ...] = ()
    """The first one is used where none is given."""
    keys: tuple[PurposeKey, ...] = ()
    any_keys: bool = False
    fields: tuple[PurposeField, ...] = ()


@dataclass(frozen=True, slots=True)
class SyncedSecret:
    """A Kubernetes Secret at the edge, made of references to vault secrets."""

    name: str
    """``syncedSecrets/{id}``; the id is the name of the Kubernetes Secret."""
    uid: str
    etag: str
    """Send it back to change only what you saw."""
    description: str
    secret_type: str
    references: tuple[SecretReference, ...]
    labels: Mapping[str, str]
    state: State
    conditions: tuple[Condition, ...]
    origin: Origin
    usages: tuple[SecretUsage, ...] = ()
    """Only where the full view was asked for."""
    create_time: datetime | None = None
    update_time: datetime | None = None
    sync_time: datetime | None = None
    """When the edge last held just what the references say."""
    generation: int = 0
    """Grows with every change of what is asked for."""
    synced_generation: int = 0
    """The generation that the edge holds."""

    @property
    def id(self) -> str:
        """The last part of the name: the name of the Kubernetes Secret."""
        return self.name.rpartition("/")[2]

    @property
    def is_synced(self) -> bool:
        """Whether the edge holds what was asked for last."""
        return self.state is State.SYNCED and self.synced_generation == self.generation

    def condition(self, type: str) -> Condition | None:  # noqa: A002 - the contract's word
        """The condition of a type, such as ``Synced``, ``InUse`` or ``Expiring``."""
        return next((condition for condition in self.conditions if condition.type == type), None)


@dataclass(frozen=True, slots=True)
class UsedBy:
    """Narrows a list to what a resource uses, or to what nothing uses."""

    kind: str = ""
    """For example ``AssetEndpointProfile``."""
    resource: str = ""
    """Any resource of the kind where empty."""
    unused: bool = False


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """Who did what, when, with which result."""

    name: str
    event_time: datetime | None
    actor: str
    action: str
    resource: str
    outcome: str
    """``OK``, or the code of the error."""
    detail: str = ""
    request_id: str = ""


class Authentication(_WireEnum):
    """How a caller proved who they are."""

    UNSPECIFIED = 0
    NONE = 1
    """Not at all: the service lets callers on its machine do everything."""
    CLUSTER_TOKEN = 2
    CLIENT_CERTIFICATE = 3
    OPENID_CONNECT = 4


class Access(_WireEnum):
    """Whether a caller may call a method."""

    UNSPECIFIED = 0
    ALLOWED = 1
    """For the resource that was asked about, or else for every name."""
    DENIED = 2
    NOT_ALL_NAMES = 3
    """Not for every name, but maybe for single ones: ask about a resource."""


@dataclass(frozen=True, slots=True)
class MethodPermission:
    """Whether the caller may call a method."""

    method: str
    access: Access
    reason: str = ""
    """That of the error that the call would get, for programs; empty if allowed."""
    message: str = ""
    """For people: what is missing, and how it is granted."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, and what they may do."""

    name: str
    user: str
    """As in Roles and in the audit."""
    groups: tuple[str, ...]
    groups_incomplete: bool
    """Whether the token leaves out groups, which then grant nothing."""
    authentication: Authentication
    expire_time: datetime | None = None
    """When the credentials expire, as far as they say."""
    permissions: tuple[MethodPermission, ...] = ()
    """Of each method, in the order of the contract."""
    reference: MethodPermission | None = None
    """To refer to a vault secret that exists; without a method."""

    def may(self, method: str) -> bool:
        """Whether they may call a method, such as ``CreateSyncedSecret``, for all that was asked about."""
        return any(one.method == method and one.access is Access.ALLOWED for one in self.permissions)


@dataclass(frozen=True, slots=True)
class Added:
    """A watcher's event: it is there, from the beginning or since now."""

    synced_secret: SyncedSecret
    resume_token: str = ""


@dataclass(frozen=True, slots=True)
class Modified:
    """A watcher's event: it is now like this."""

    synced_secret: SyncedSecret
    resume_token: str = ""


@dataclass(frozen=True, slots=True)
class Deleted:
    """A watcher's event: it is gone, or out of the filter's range; shown as it was last seen."""

    synced_secret: SyncedSecret
    resume_token: str = ""


@dataclass(frozen=True, slots=True)
class Bookmark:
    """A watcher's event: nothing is left to tell right now.

    The first one says that the initial state is complete, the later ones that the watch is alive.
    """

    resume_token: str = ""


@dataclass(frozen=True, slots=True)
class Restarted:
    """A watcher's event: the service couldn't go on from where the watch was.

    Forget what you know: the whole state follows as :class:`Added`, up to the next :class:`Bookmark`.
    """


WatchEvent = Added | Modified | Deleted | Bookmark | Restarted


def existing(
    key: str,
    vault_secret: str,
    *,
    version: str = "",
    encoding: Encoding = Encoding.UNSPECIFIED,
    part: Part = Part.UNSPECIFIED,
) -> SecretReference:
    """A reference to a secret that is in the vault ("Add from Azure Key Vault")."""
    return SecretReference(key, vault_secret, version=version, encoding=encoding, part=part)


def new(
    key: str,
    vault_secret: str,
    value: Secret,
    *,
    content_type: str = "",
    not_before_time: datetime | None = None,
    expire_time: datetime | None = None,
    tags: Mapping[str, str] | None = None,
    encoding: Encoding = Encoding.UNSPECIFIED,
    stored_encoding: Encoding = Encoding.UNSPECIFIED,
    part: Part = Part.UNSPECIFIED,
) -> SecretReference:
    """A reference to a secret that is first created in the vault ("Create new").

    Bytes, such as the file of a certificate, arrive at the edge as they are; the vault keeps them in
    ``stored_encoding``, hex where it is left out.
    """
    times = (not_before_time, expire_time)
    secret = NewVaultSecret(hidden(value), content_type, *times, dict(tags or {}), stored_encoding)
    return SecretReference(key, vault_secret, encoding=encoding, create=secret, part=part)
