package secrets

import (
	"context"
	"fmt"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// domain is that of every reason of the service.
const domain = "secret-service.iotoperations"

// Error is why a call failed. [errors.As] finds it in every error of a call, [errors.Is] compares it with ErrNotFound and
// its like, with a [Reason], and with the errors of package context.
type Error struct {
	Method        string // The RPC.
	Code          codes.Code
	Reason        Reason // Empty where the service didn't answer.
	Message       string // For people: what happened, and what to do.
	Resource      string // The name of what it is about, such as "syncedSecrets/pump-7".
	Violations    []Violation
	Preconditions []Precondition
	RetryAfter    time.Duration // Zero where waiting alone doesn't help, or nobody knows how long.
	RequestID     string        // What the service's log and audit know the call by.

	status *status.Status
}

// Violation is a field of a request that can't be accepted.
type Violation struct {
	Field       string // Its path in proto names: "synced_secret.references[1].key".
	Description string
}

// Precondition is something that must change before the call can succeed.
type Precondition struct {
	Type        string
	Subject     string
	Description string
}

// InUseError is why a synced secret was not deleted: something uses it.
type InUseError struct {
	Usages []Precondition // One for each use: Subject says what uses it, Description how.

	err *Error
}

func (e *InUseError) Error() string { return e.err.Error() }

// Unwrap is the *Error with everything else that is known.
func (e *InUseError) Unwrap() error { return e.err }

// Reason says in one stable word why a call failed, for programs: errors.Is(err, secrets.ReasonVaultForbidden).
type Reason string

// The reasons that a program may want to tell apart from others of the same code. The service has more.
const (
	ReasonChangedMeanwhile   Reason = "CHANGED_MEANWHILE"
	ReasonInvalidField       Reason = "INVALID_FIELD"
	ReasonRequestIDReused    Reason = "REQUEST_ID_REUSED"
	ReasonSyncedSecretExists Reason = "SYNCED_SECRET_EXISTS"
	ReasonVaultSecretExists  Reason = "VAULT_SECRET_EXISTS"
	ReasonVaultSecretDeleted Reason = "VAULT_SECRET_SOFT_DELETED"
	ReasonVaultForbidden     Reason = "VAULT_FORBIDDEN"
	ReasonVaultThrottled     Reason = "VAULT_THROTTLED"
	ReasonVaultUnreachable   Reason = "VAULT_UNREACHABLE"
	ReasonEdgeConflict       Reason = "EDGE_CONFLICT"
	ReasonEdgeUnreachable    Reason = "EDGE_UNREACHABLE"
	ReasonNotLeader          Reason = "NOT_LEADER"
	ReasonStopping           Reason = "STOPPING"
)

func (r Reason) Error() string { return string(r) }

// class is an error of any call that failed with a code.
type class codes.Code

func (c class) Error() string { return "secrets: " + codes.Code(c).String() }

// For errors.Is: what kind of failure it is.
var (
	ErrInvalid            error = class(codes.InvalidArgument)
	ErrNotFound           error = class(codes.NotFound)
	ErrAlreadyExists      error = class(codes.AlreadyExists)
	ErrFailedPrecondition error = class(codes.FailedPrecondition)
	ErrAborted            error = class(codes.Aborted) // It was changed meanwhile: get it again.
	ErrOutOfRange         error = class(codes.OutOfRange)
	ErrResourceExhausted  error = class(codes.ResourceExhausted)
	ErrUnavailable        error = class(codes.Unavailable) // The service, the vault or the edge can't be reached.
	ErrPermissionDenied   error = class(codes.PermissionDenied)
	ErrUnauthenticated    error = class(codes.Unauthenticated)
	ErrUnimplemented      error = class(codes.Unimplemented)
)

func (e *Error) Error() string {
	var text strings.Builder
	fmt.Fprintf(&text, "secrets: %s: %s", e.Method, e.Message)
	if e.Reason != "" {
		fmt.Fprintf(&text, " (%s)", e.Reason)
	}
	if len(e.Violations) > 1 {
		for _, violation := range e.Violations {
			fmt.Fprintf(&text, "\n  %s: %s", violation.Field, violation.Description)
		}
	}
	return text.String()
}

// Is compares with ErrNotFound and its like, and with reasons.
func (e *Error) Is(target error) bool {
	switch target := target.(type) {
	case class:
		return codes.Code(target) == e.Code
	case Reason:
		return target == e.Reason
	}
	return false
}

// Unwrap is the error of the context, where that is what ended the call.
func (e *Error) Unwrap() error {
	switch e.Code {
	case codes.DeadlineExceeded:
		return context.DeadlineExceeded
	case codes.Canceled:
		return context.Canceled
	}
	return nil
}

// GRPCStatus is the status as it came, for package status of gRPC.
func (e *Error) GRPCStatus() *status.Status { return e.status }

// newError reads all that the status of a failed call says; nil for nil.
func newError(method, requestID, target string, err error) error {
	if err == nil {
		return nil
	}
	s, ok := status.FromError(err)
	if !ok {
		s = status.FromContextError(err)
	}
	e := &Error{Method: shortMethod(method), Code: s.Code(), Message: s.Message(), RequestID: requestID, status: s}
	for _, detail := range s.Details() {
		e.read(detail)
	}
	if e.Reason == "" && e.Code == codes.Unavailable {
		e.Message = fmt.Sprintf("The service at %s can't be reached, or went away during the call: %s", target, s.Message())
	}
	if e.Code == codes.FailedPrecondition && strings.HasSuffix(string(e.Reason), "IN_USE") {
		return &InUseError{Usages: e.Preconditions, err: e}
	}
	return e
}

func (e *Error) read(detail any) {
	switch detail := detail.(type) {
	case *errdetails.ErrorInfo:
		if detail.GetDomain() == domain {
			e.Reason = Reason(detail.GetReason())
			e.Resource = detail.GetMetadata()["resource"]
		}
	case *errdetails.BadRequest:
		for _, v := range detail.GetFieldViolations() {
			e.Violations = append(e.Violations, Violation{v.GetField(), v.GetDescription()})
		}
	case *errdetails.PreconditionFailure:
		for _, v := range detail.GetViolations() {
			e.Preconditions = append(e.Preconditions, Precondition{v.GetType(), v.GetSubject(), v.GetDescription()})
		}
	case *errdetails.RetryInfo:
		e.RetryAfter = detail.GetRetryDelay().AsDuration()
	}
}

// answered says whether the service itself gave this error, not the way to it.
func (e *Error) answered() bool { return e.Reason != "" }
