"""What an error of MongoDB means for a run, as tables of codes; pure.

Sources: the server's `error_codes.yml`, whose names and categories these are; the driver's own lists of codes that are
retried; its specifications of retryable writes and of server discovery.
"""

import re
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any, Final

from msgspec import Struct

from pipeline.errors import Reason

__all__ = [
    "LABELS",
    "LOGIN",
    "ORDER",
    "PASSING",
    "POISON",
    "RIGHTS",
    "Refusal",
    "Verdict",
    "judge",
    "missing_right",
    "name_of",
]


class Verdict(Enum):
    """What is to be done about an error."""

    PASSES = "tried again, and an outage where it stays"
    LOGIN = "told at once: who we are is not accepted"
    RIGHTS = "told at once: a right is missing"
    ORDER = "a dead letter of the order whose statement it concerns"
    STOPS = "stops, with its name"


LABELS: Final = frozenset(
    {"RetryableWriteError", "TransientTransactionError", "RetryableError", "SystemOverloadedError"}
)
"""Labels by which the server itself says that trying again may help."""

PASSING: Final[Mapping[int, str]] = {
    6: "HostUnreachable",
    7: "HostNotFound",
    24: "LockTimeout",
    43: "CursorNotFound",
    46: "LockBusy",
    50: "MaxTimeMSExpired",
    63: "StaleShardVersion",
    64: "WriteConcernTimeout",
    74: "NodeNotFound",
    82: "NoProgressMade",
    83: "RemoteResultsUnavailable",
    89: "NetworkTimeout",
    90: "CallbackCanceled",
    91: "ShutdownInProgress",
    94: "NotYetInitialized",
    107: "LockFailed",
    109: "ConfigurationInProgress",
    112: "WriteConflict",
    117: "ConflictingOperationInProgress",
    133: "FailedToSatisfyReadPreference",
    134: "ReadConcernMajorityNotAvailableYet",
    135: "StaleTerm",
    136: "CappedPositionLost",
    145: "PooledConnectionsDropped",
    146: "ExceededMemoryLimit",
    149: "NoConfigPrimary",
    150: "StaleEpoch",
    175: "QueryPlanKilled",
    189: "PrimarySteppedDown",
    190: "MasterSlaveConnectionFailure",
    194: "BalancerInterrupted",
    199: "ReplicaSetMonitorRemoved",
    202: "NetworkInterfaceExceededTimeLimit",
    203: "ShardingStateNotInitialized",
    208: "TooManyLocks",
    215: "DatabaseDropPending",
    216: "ElectionInProgress",
    221: "IndexModified",
    230: "DNSHostNotFound",
    231: "DNSProtocolError",
    237: "CursorKilled",
    239: "SnapshotTooOld",
    246: "SnapshotUnavailable",
    249: "StaleDbVersion",
    250: "StaleChunkHistory",
    251: "NoSuchTransaction",
    259: "KeyedExecutorRetry",
    261: "TooManyLogicalSessions",
    262: "ExceededTimeLimit",
    264: "TooManyFilesOpen",
    267: "PreparedTransactionInProgress",
    272: "MigrationConflict",
    276: "IndexBuildAborted",
    279: "ClientDisconnect",
    281: "TransactionCoordinatorSteppingDown",
    282: "TransactionCoordinatorReachedAbortDecision",
    285: "IndexBuildAlreadyInProgress",
    290: "TransactionExceededLifetimeLimitSeconds",
    303: "SplitHorizonChange",
    308: "CurrentConfigNotCommittedYet",
    310: "PeriodicJobIsStopped",
    312: "OperationIsKilledAndDelisted",
    314: "ObjectIsBusy",
    317: "ConnectionPoolExpired",
    319: "MovePrimaryInProgress",
    333: "ServiceExecutorInShutdown",
    338: "ReshardCollectionInProgress",
    342: "ReshardingCriticalSectionTimeout",
    343: "ShardCannotRefreshDueToLocksHeld",
    355: "InterruptedDueToStorageChange",
    358: "InternalTransactionNotSupported",
    363: "RetryableTransactionInProgress",
    365: "TemporarilyUnavailable",
    371: "UserWritesBlocked",
    372: "CloseConnectionForShutdownCommand",
    384: "ConnectionError",
    398: "StreamTerminated",
    402: "ResourceExhausted",
    406: "MigrationBlockingOperationCoordinatorCleaningUp",
    407: "PooledConnectionAcquisitionExceededTimeLimit",
    412: "UpdatesStillPending",
    414: "AddOrRemoveShardInProgress",
    433: "AdmissionQueueOverflow",
    449: "RateLimitExceeded",
    450: "PooledConnectionAcquisitionRejected",
    453: "InterruptedDueToReshardingCriticalSection",
    462: "IngressRequestRateLimitExceeded",
    9001: "SocketException",
    9996: "RecvStaleConfig",
    10058: "LegacyNotPrimary",
    10107: "NotWritablePrimary",
    11600: "InterruptedAtShutdown",
    11601: "Interrupted",
    11602: "InterruptedDueToReplStateChange",
    12586: "BackgroundOperationInProgressForDatabase",
    12587: "BackgroundOperationInProgressForNamespace",
    13388: "StaleConfig",
    13435: "NotPrimaryNoSecondaryOk",
    13436: "NotPrimaryOrSecondary",
    14031: "OutOfDiskSpace",
    46841: "ClientMarkedKilled",
    50915: "BackupCursorOpenConflictWithCheckpoint",
    56846: "ConfigServerUnreachable",
    91331: "RetriableRemoteCommandFailure",
    10045600: "InterruptedDueToFCVChange",
}
"""What may be over in a moment: elections, shutdowns, time limits, locks, load, a disk that somebody makes room on."""

LOGIN: Final[Mapping[int, str]] = {
    11: "UserNotFound",
    18: "AuthenticationFailed",
    214: "AuthenticationRestrictionUnmet",
    334: "MechanismUnavailable",
    391: "ReauthenticationRequired",
    392: "InvalidJWT",
    404: "LDAPRoleAcquisitionError",
}

RIGHTS: Final[Mapping[int, str]] = {13: "Unauthorized"}

ORDER: Final[Mapping[int, str]] = {
    2: "BadValue",
    9: "FailedToParse",
    14: "TypeMismatch",
    15: "Overflow",
    16: "InvalidLength",
    22: "InvalidBSON",
    28: "PathNotViable",
    29: "NonExistentPath",
    30: "InvalidPath",
    34: "CannotBackfillArray",
    40: "ConflictingUpdateOperators",
    52: "DollarPrefixedFieldName",
    53: "InvalidIdField",
    54: "NotSingleValueField",
    55: "InvalidDBRef",
    56: "EmptyFieldName",
    57: "DottedFieldName",
    61: "ShardKeyNotFound",
    66: "ImmutableField",
    111: "NotExactValueField",
    116: "DocTooLargeForCapped",
    121: "DocumentValidationFailure",
    159: "DurationOverflow",
    171: "CannotIndexParallelArrays",
    201: "CannotBuildIndexKeys",
    241: "ConversionFailure",
    283: "WouldChangeOwningShard",
    357: "InvalidBSONType",
    366: "WouldChangeOwningShardDeletedNoDocument",
    378: "NonConformantBSON",
    10003: "CannotGrowDocumentInCappedNamespace",
    10334: "BSONObjectTooLarge",
    11000: "DuplicateKey",
    11001: "DuplicateKey",
    12582: "DuplicateKey",
    17280: "KeyTooLong",
    17419: "BSONObjectTooLarge",
    17420: "BSONObjectTooLarge",
}
"""What is wrong with one document, for one collection and its indexes."""

POISON: Final = frozenset({15, 22, 357, 378, 10334, 17419, 17420})
"""Of these, those for which a command is refused as a whole though only one of its statements is at fault."""

COLLECTION: Final[Mapping[int, str]] = {
    20: "IllegalOperation",
    26: "NamespaceNotFound",
    59: "CommandNotFound",
    72: "InvalidOptions",
    73: "InvalidNamespace",
    115: "CommandNotSupported",
    123: "NotAReplicaSet",
    166: "CommandNotSupportedOnView",
    167: "OptionNotSupportedOnView",
    242: "CannotCreateCollection",
    301: "DataCorruptionDetected",
    361: "CollectionUUIDMismatch",
}
"""What is wrong with all of a collection, even where the server tells it of each statement."""

ATLAS: Final = 8000
"""Whatever Atlas's own front refuses; only its words tell what."""

DUPLICATES: Final = frozenset({11000, 11001, 12582})
VALIDATOR: Final = 121
TOO_LARGE: Final = frozenset({10334, 17419, 17420})

_ATLAS_LOGIN: Final = re.compile(r"bad auth|authentication failed|not authenticated", re.IGNORECASE)
_ATLAS_RIGHT: Final = re.compile(r"not allowed to do action \[(\w+)\] on \[([^\]]*)\]")
_RIGHT: Final = re.compile(r'not authorized on (\S+) to execute command \{ (\w+): (?:"([^"]*)")?')
_INDEX: Final = re.compile(r" index: (.+?)(?: collation: \{.*?\})? dup key")

_RIGHTS_OF: Final[Mapping[str, str]] = {
    "aggregate": "find",
    "count": "find",
    "createIndexes": "createIndex",
    "delete": "remove",
    "dropIndexes": "dropIndex",
    "getMore": "find",
}
"""The right that a command takes, where it is not called like the command."""


class Refusal(Struct, frozen=True):
    """Why the server refused one statement: no value of a document, but the names of what they broke."""

    code: int
    fields: tuple[str, ...] = ()
    """The fields of the unique index, or those that the collection's validator names."""
    index: str | None = None
    """The unique index that has the values already."""

    @classmethod
    def of(cls, error: Mapping[str, Any]) -> "Refusal":
        """The refusal in one of the ``writeErrors`` of a reply."""
        code = int(error.get("code", 0))
        fields: Iterable[str] = ()
        index = None
        if code in DUPLICATES:
            fields = error.get("keyPattern", {})
            found = _INDEX.search(str(error.get("errmsg", "")))
            index = found[1] if found else None
        elif code == VALIDATOR:
            fields = sorted(_named(error.get("errInfo", {}).get("details", {})))
        return cls(code, tuple(fields), index)

    @property
    def is_number_taken(self) -> bool:
        """Whether there is a document of this number, or of this id of the client's, already."""
        return self.code in DUPLICATES and self.fields in {("number",), ("sync.id",)}

    @property
    def reason(self) -> Reason:
        """It in words, for a dead letter."""
        fields = ", ".join(f"`{field}`" for field in self.fields)
        if self.code in DUPLICATES:
            what = f"another document has the same {fields or 'value'} (unique index {self.index or 'unknown'})"
        elif self.code == VALIDATOR:
            what = f"the collection's validator does not allow it{' because of ' + fields if fields else ''}"
        elif self.code in TOO_LARGE:
            what = "it is too large for MongoDB, or has what MongoDB cannot hold"
        else:
            what = "see its name"
        return Reason(f"MongoDB refuses the document: {what} ({name_of(self.code)})")


def judge(code: int | None, *, labels: Iterable[str] = (), message: str = "", alone: bool = False) -> Verdict:
    """What an error of the server means; with ``alone``, one that was told of one statement among others.

    Total: an unknown code concerns the order where it is told of one statement, and stops otherwise.
    """
    if not LABELS.isdisjoint(labels) or code in PASSING:
        return Verdict.PASSES
    if code in LOGIN or (code == ATLAS and _ATLAS_LOGIN.search(message)):
        return Verdict.LOGIN
    if code in RIGHTS or (code == ATLAS and _ATLAS_RIGHT.search(message)):
        return Verdict.RIGHTS
    if alone and code not in COLLECTION and code != ATLAS:
        return Verdict.ORDER
    return Verdict.STOPS


def name_of(code: int | None, named: str | None = None) -> str:
    """The code as it is told: ``code 262, ExceededTimeLimit``; ``named`` is what the server calls it."""
    known = {**PASSING, **LOGIN, **RIGHTS, **ORDER, **COLLECTION, ATLAS: "AtlasError"}
    name = named or known.get(code or 0)
    return f"code {code}" + (f", {name}" if name else "")


def missing_right(message: str) -> str | None:
    """What the user lacks, from the server's words: ``update on tractian.workorders``; they hold values: not shown."""
    if found := _ATLAS_RIGHT.search(message):
        return f"{found[1]} on {found[2]}"
    found = _RIGHT.search(message)
    if found is None:
        return None
    database, command, collection = found.groups()
    return f"{_RIGHTS_OF.get(command, command)} on {database}{'.' + collection if collection else ''}"


def _named(details: Any) -> set[str]:
    """The fields that a validator's answer names; the values that it considered are passed over."""
    if isinstance(details, list):
        return {name for one in details for name in _named(one)}
    if not isinstance(details, Mapping):
        return set()
    names: set[str] = set()
    for key, value in details.items():
        if key in ("propertyName", "conditionalProperty"):
            names.add(str(value))
        elif key in ("additionalProperties", "missingProperties") and isinstance(value, list):
            names.update(map(str, value))
        elif key == "specifiedAs" and str(details.get("operatorName", "")).startswith("$"):
            names.update(field for field in value if not field.startswith("$"))
        elif key != "specifiedAs" and not key.startswith("considered"):
            names |= _named(value)
    return names
