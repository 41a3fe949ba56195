package secrets

import (
	"context"
	"errors"
	"io"
	"iter"
	"math/rand/v2"
	"slices"
	"time"

	"google.golang.org/grpc/codes"

	pb "github.com/iotoperations/secret-service/clients/go/gen/iotoperations/secrets/v1"
)

// EventType says what an [Event] is.
type EventType int

// What a watch tells.
const (
	// Added: it is there. The initial state consists of these.
	Added EventType = iota + 1
	// Modified: it is there and has changed.
	Modified
	// Deleted: it is gone, or no longer matches the filter. The secret is as it was last seen.
	Deleted
	// Current: everything was told up to here. It comes after the initial state, and as a sign of life.
	Current
	// Restarted: the watch could not go on from where it was and begins again. Forget what was told: the whole state
	// comes again as Added, then Current.
	Restarted
)

// String is the name of the type.
func (t EventType) String() string {
	names := []string{"Added", "Modified", "Deleted", "Current", "Restarted"}
	if t < Added || int(t) > len(names) {
		return "unknown"
	}
	return names[t-1]
}

// Event is one thing that a watch tells.
type Event struct {
	Type        EventType
	Secret      *pb.SyncedSecret // Nil with Current and Restarted.
	ResumeToken string           // Goes on after this event, also in another process; empty within an initial state.
}

// WatchRequest is what [Client.Watch] watches.
type WatchRequest struct {
	Filter      *pb.SyncedSecretFilter
	ResumeToken string // Goes on from an earlier event of a watch with the same filter, without an initial state.

	// OnDisconnect, where set, is told each error after which the watch connects again.
	OnDisconnect func(error)
}

// Between attempts to connect again.
const (
	firstPause = 100 * time.Millisecond
	lastPause  = 5 * time.Second
)

// Watch tells what [Client.List] would show, then every change, until ctx ends. It connects again whenever the connection
// or the service is gone, for as long as that takes, and goes on from where it was: nothing is missed. Where it can't, because
// that is too long ago, it says [Restarted] and tells the whole state anew.
//
// An error ends it: that of ctx, or one that connecting again doesn't mend, such as a filter that the service refuses.
func (c *Client) Watch(ctx context.Context, request WatchRequest) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		w := watch{client: c, request: request, token: request.ResumeToken, yield: yield}
		w.run(ctx)
	}
}

// watch is one loop over a watch.
type watch struct {
	client  *Client
	request WatchRequest
	yield   func(Event, error) bool

	token     string // Where to go on.
	ourToken  bool   // It came in this watch, so that a service that doesn't know it has lost its past.
	midway    bool   // A part of an initial state was told.
	failures  int    // Since the last event.
	abandoned bool   // The loop was left.
}

func (w *watch) run(ctx context.Context) {
	for {
		err := w.stream(ctx)
		if w.abandoned {
			return
		}
		if ctx.Err() != nil {
			err = newError("WatchSyncedSecrets", "", "", ctx.Err())
		}
		if ctx.Err() != nil || !w.mends(err) {
			w.yield(Event{}, err)
			return
		}
		if w.request.OnDisconnect != nil {
			w.request.OnDisconnect(err)
		}
		if lost := w.hasLostPlace(err); lost || w.midway {
			w.token, w.ourToken, w.midway = "", false, false
			if !w.yield(Event{Type: Restarted}, nil) {
				return
			}
			if lost {
				continue
			}
		}
		w.pause(ctx, err)
	}
}

// stream tells what one connection brings. It returns nil only where the loop was left.
func (w *watch) stream(ctx context.Context) error {
	// What ends the stream on the server when the loop is left.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := w.client.stub.WatchSyncedSecrets(ctx, &pb.WatchSyncedSecretsRequest{Filter: w.request.Filter, ResumeToken: w.token})
	if err != nil {
		return err
	}
	for {
		response, err := stream.Recv()
		if err != nil {
			return err
		}
		w.failures = 0
		event, known := eventOf(response)
		if event.ResumeToken != "" {
			w.token, w.ourToken, w.midway = event.ResumeToken, true, false
		} else {
			w.midway = true
		}
		if known && !w.yield(event, nil) {
			w.abandoned = true
			return nil
		}
	}
}

// mends says whether connecting again may help.
func (w *watch) mends(err error) bool {
	if errors.Is(err, io.EOF) || w.hasLostPlace(err) {
		return true
	}
	var e *Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Code {
	case codes.Unavailable, codes.ResourceExhausted, codes.Aborted, codes.DeadlineExceeded:
		return true
	case codes.Internal, codes.Unknown, codes.Canceled:
		// Of the connection, or of something on the way.
		return !e.answered()
	}
	return false
}

// hasLostPlace says whether the service can't go on from the token: it no longer keeps what came after, or was itself put
// back to another database.
func (w *watch) hasLostPlace(err error) bool {
	if errors.Is(err, ErrOutOfRange) {
		return w.token != ""
	}
	var e *Error
	return w.ourToken && errors.As(err, &e) && e.Code == codes.InvalidArgument &&
		slices.ContainsFunc(e.Violations, func(v Violation) bool { return v.Field == "resume_token" })
}

// pause waits before the next attempt: longer each time, spread, and at least as long as the service asks for.
func (w *watch) pause(ctx context.Context, err error) {
	pause := min(firstPause<<min(w.failures, 10), lastPause)
	w.failures++
	pause = pause/2 + rand.N(pause/2)
	var e *Error
	if errors.As(err, &e) {
		pause = max(pause, e.RetryAfter)
	}
	select {
	case <-ctx.Done():
	case <-time.After(pause):
	}
}

// eventOf is false for an event of a kind that this client doesn't know.
func eventOf(response *pb.WatchSyncedSecretsResponse) (Event, bool) {
	types := map[pb.WatchSyncedSecretsResponse_Type]EventType{
		pb.WatchSyncedSecretsResponse_TYPE_ADDED:    Added,
		pb.WatchSyncedSecretsResponse_TYPE_MODIFIED: Modified,
		pb.WatchSyncedSecretsResponse_TYPE_DELETED:  Deleted,
		pb.WatchSyncedSecretsResponse_TYPE_BOOKMARK: Current,
	}
	kind, known := types[response.GetType()]
	return Event{Type: kind, Secret: response.GetSyncedSecret(), ResumeToken: response.GetResumeToken()}, known
}
