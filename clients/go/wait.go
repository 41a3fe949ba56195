package secrets

import (
	"context"
	"fmt"
	"strings"

	pb "github.com/iotoperations/secret-service/clients/go/gen/iotoperations/secrets/v1"
)

// NotSyncedError is why [Client.WaitSynced] ended before the edge held what was asked for: the attempt failed, it is being
// deleted, or the context ended.
type NotSyncedError struct {
	Secret *pb.SyncedSecret // As it was last seen; its state says which of these it is.

	err error
}

func (e *NotSyncedError) Error() string {
	state := strings.TrimPrefix(e.Secret.GetState().String(), "STATE_")
	text := fmt.Sprintf("secrets: %s is not synced, its state is %s", e.Secret.GetName(), state)
	if problem := e.Problem(); problem != nil {
		text += fmt.Sprintf(": %s (%s)", problem.GetMessage(), problem.GetReason())
	}
	return text
}

// Unwrap is the error of the context, where that is what ended the wait.
func (e *NotSyncedError) Unwrap() error { return e.err }

// Problem is the condition that says what is in the way; nil where nothing is said.
func (e *NotSyncedError) Problem() *pb.Condition {
	for _, condition := range e.Secret.GetConditions() {
		if condition.GetType() == "Synced" && condition.GetStatus() != pb.Condition_STATUS_TRUE {
			return condition
		}
	}
	return nil
}

// WaitOption says how [Client.WaitSynced] waits.
type WaitOption func(*waiting)

type waiting struct {
	throughFailures bool
}

// ThroughFailures waits on while it stands as failed or degraded: the service goes on trying, and the cause may pass. Only the
// context bounds such a wait.
func ThroughFailures() WaitOption {
	return func(w *waiting) { w.throughFailures = true }
}

// WaitSynced waits until the edge holds what was asked for last, and returns what it is then. As the Wait of a request does, it
// ends with the first attempt: where that failed, a [*NotSyncedError] has the condition that says why. What is being deleted,
// and the end of ctx, are a [*NotSyncedError] too; what isn't there, or no more, is ErrNotFound.
func (c *Client) WaitSynced(ctx context.Context, name string, options ...WaitOption) (*pb.SyncedSecret, error) {
	var w waiting
	for _, option := range options {
		option(&w)
	}
	seen, err := c.Get(ctx, name)
	if err != nil {
		return nil, err
	}
	if w.isOver(seen) {
		return synced(seen)
	}
	filter := &pb.SyncedSecretFilter{NameContains: strings.TrimPrefix(name, "syncedSecrets/")}
	told := false // Whether this state of the watch has it.
	for event, err := range c.Watch(ctx, WatchRequest{Filter: filter}) {
		if err != nil {
			if ctx.Err() != nil {
				err = &NotSyncedError{Secret: seen, err: ctx.Err()}
			}
			return nil, err
		}
		switch {
		case event.Type == Restarted:
			told = false
		case event.Type == Current && !told, event.Type == Deleted && event.Secret.GetName() == name:
			// The error that says that it is gone; or what it is, where it was made again.
			if seen, err = c.Get(ctx, name); err != nil {
				return nil, err
			}
		case event.Secret.GetName() == name:
			seen, told = event.Secret, true
		}
		if w.isOver(seen) {
			return synced(seen)
		}
	}
	return nil, &NotSyncedError{Secret: seen, err: ctx.Err()}
}

// isOver says whether there is nothing left to wait for: it is at the edge, the attempt failed, or it is on its way out.
func (w waiting) isOver(secret *pb.SyncedSecret) bool {
	switch secret.GetState() {
	case pb.SyncedSecret_STATE_FAILED, pb.SyncedSecret_STATE_DEGRADED:
		return !w.throughFailures
	case pb.SyncedSecret_STATE_DELETING:
		return true
	}
	return isSynced(secret)
}

// synced is what the edge holds, or the error that says why it doesn't.
func synced(secret *pb.SyncedSecret) (*pb.SyncedSecret, error) {
	if isSynced(secret) {
		return secret, nil
	}
	return nil, &NotSyncedError{Secret: secret}
}

// isSynced says whether the edge holds what is asked for, and not only an earlier wish.
func isSynced(secret *pb.SyncedSecret) bool {
	return secret.GetState() == pb.SyncedSecret_STATE_SYNCED && secret.GetSyncedGeneration() >= secret.GetGeneration()
}
