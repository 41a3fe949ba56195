package secrets

import (
	"context"
	"fmt"
	"strings"

	pb "github.com/iotoperations/secret-service/clients/go/gen/iotoperations/secrets/v1"
)

// NotSyncedError is why [Client.WaitSynced] ended before the edge held what was asked for.
type NotSyncedError struct {
	Secret *pb.SyncedSecret // As it was last seen.

	err error
}

func (e *NotSyncedError) Error() string {
	text := fmt.Sprintf("secrets: %s is not synced", e.Secret.GetName())
	if problem := e.Problem(); problem != nil {
		text += fmt.Sprintf(": %s (%s)", problem.GetMessage(), problem.GetReason())
	}
	return text
}

// Unwrap is the error of the context.
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

// WaitSynced waits until the edge holds what was asked for last, and says what it is then. Failures on the way don't end it,
// because they may pass: when ctx ends, a [*NotSyncedError] says what is in the way. What isn't there is ErrNotFound.
func (c *Client) WaitSynced(ctx context.Context, name string) (*pb.SyncedSecret, error) {
	seen, err := c.Get(ctx, name)
	if err != nil {
		return nil, err
	}
	if isSynced(seen) {
		return seen, nil
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
		if isSynced(seen) {
			return seen, nil
		}
	}
	return nil, &NotSyncedError{Secret: seen, err: ctx.Err()}
}

// isSynced says whether the edge holds what is asked for, and not only an earlier wish.
func isSynced(secret *pb.SyncedSecret) bool {
	return secret.GetState() == pb.SyncedSecret_STATE_SYNCED && secret.GetSyncedGeneration() >= secret.GetGeneration()
}
