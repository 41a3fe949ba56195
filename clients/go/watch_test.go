package secrets_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	secrets "github.com/iotoperations/secret-service/clients/go"
	pb "github.com/iotoperations/secret-service/clients/go/gen/iotoperations/secrets/v1"
)

// told is what a watch tells, to be read one by one.
type told struct {
	t    *testing.T
	next func() (secrets.Event, error, bool)
}

func watching(t *testing.T, events iter.Seq2[secrets.Event, error]) *told {
	next, stop := iter.Pull2(events)
	t.Cleanup(stop)
	return &told{t, next}
}

// expect reads events until one of this type about this secret, and fails on any that is not in between allowed.
func (w *told) expect(kind secrets.EventType, name string, between ...secrets.EventType) secrets.Event {
	w.t.Helper()
	for {
		event, err, more := w.next()
		if err != nil || !more {
			w.t.Fatalf("the watch ended: %v", err)
		}
		if event.Type == kind && event.Secret.GetName() == name {
			return event
		}
		if !slices.Contains(between, event.Type) {
			w.t.Fatalf("%v %s instead of %v %s", event.Type, event.Secret.GetName(), kind, name)
		}
	}
}

func TestAWatchSurvivesRestartsOfTheServiceAndMissesNothing(t *testing.T) {
	s := serve(t)
	// The watch can't connect while the gate is closed, so that what happens meanwhile is missed by the connection.
	var closed atomic.Bool
	gate := secrets.WithDialOptions(grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
		if closed.Load() {
			return nil, errors.New("the gate is closed")
		}
		return new(net.Dialer).DialContext(ctx, "tcp", address)
	}))
	changing := s.client(t)
	first := create(t, changing, "first")

	var disconnects atomic.Int32
	ctx := bounded(t)
	watch := watching(t, s.client(t, gate).Watch(ctx, secrets.WatchRequest{
		OnDisconnect: func(error) { disconnects.Add(1) },
	}))
	watch.expect(secrets.Added, first)
	watch.expect(secrets.Current, "")

	for round := range 3 {
		closed.Store(true)
		s.restart(t)
		made := create(t, changing, fmt.Sprintf("while-away-%d", round))
		if _, err := changing.Delete(ctx, secrets.DeleteRequest{Name: made, Wait: 10 * time.Second}); err != nil {
			t.Fatal(err)
		}
		kept := create(t, changing, fmt.Sprintf("kept-%d", round))
		closed.Store(false)
		// Nothing of the earlier state comes again, and both changes come, in order.
		watch.expect(secrets.Added, made, secrets.Current)
		watch.expect(secrets.Deleted, made, secrets.Modified)
		watch.expect(secrets.Added, kept)
		watch.expect(secrets.Current, "", secrets.Modified)
	}
	if disconnects.Load() < 3 {
		t.Errorf("told of %d disconnects", disconnects.Load())
	}
}

func TestAWatchGoesOnInAnotherProcessFromItsToken(t *testing.T) {
	s := serve(t)
	client := s.client(t)
	create(t, client, "before")
	token := watching(t, client.Watch(bounded(t), secrets.WatchRequest{})).expect(secrets.Current, "", secrets.Added).ResumeToken
	after := create(t, client, "after")

	s.restart(t)
	resumed := watching(t, s.client(t).Watch(bounded(t), secrets.WatchRequest{ResumeToken: token}))
	resumed.expect(secrets.Added, after)
}

// watch is what a service does in one watch.
type watch func(*pb.WatchSyncedSecretsRequest, grpc.ServerStreamingServer[pb.WatchSyncedSecretsResponse]) error

// script is a service whose watches do one thing after the other.
type script struct {
	pb.UnimplementedSecretServiceServer
	watches []watch
	opened  int
}

func (s *script) WatchSyncedSecrets(
	request *pb.WatchSyncedSecretsRequest, stream grpc.ServerStreamingServer[pb.WatchSyncedSecretsResponse],
) error {
	next := s.watches[s.opened]
	s.opened++
	return next(request, stream)
}

// watchOf tells the names as added, without tokens, then a bookmark with the token where there is one, then fails.
func watchOf(wantedToken, token string, failure error, names ...string) watch {
	return func(request *pb.WatchSyncedSecretsRequest, stream grpc.ServerStreamingServer[pb.WatchSyncedSecretsResponse]) error {
		if request.GetResumeToken() != wantedToken {
			return status.Errorf(codes.Internal, "resumed from %q instead of %q", request.GetResumeToken(), wantedToken)
		}
		for _, name := range names {
			secret := &pb.SyncedSecret{Name: name}
			_ = stream.Send(&pb.WatchSyncedSecretsResponse{Type: pb.WatchSyncedSecretsResponse_TYPE_ADDED, SyncedSecret: secret})
		}
		if token != "" {
			_ = stream.Send(&pb.WatchSyncedSecretsResponse{Type: pb.WatchSyncedSecretsResponse_TYPE_BOOKMARK, ResumeToken: token})
		}
		return failure
	}
}

func refused(code codes.Code, reason, field string) error {
	details, err := status.New(code, "refused").WithDetails(
		&errdetails.ErrorInfo{Reason: reason, Domain: "secret-service.iotoperations"},
		&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: field, Description: "refused"}}},
	)
	if err != nil {
		panic(err)
	}
	return details.Err()
}

func TestAWatchThatCanNotGoOnSaysThatItBeginsAnew(t *testing.T) {
	away := status.Error(codes.Unavailable, "gone")
	for name, lost := range map[string]error{
		"too long away":    refused(codes.OutOfRange, "RESUME_TOKEN_OUT_OF_RANGE", ""),
		"another database": refused(codes.InvalidArgument, "INVALID_FIELD", "resume_token"),
	} {
		t.Run(name, func(t *testing.T) {
			client := fake(t, &script{watches: []watch{
				watchOf("", "t1", away, "a"),
				watchOf("t1", "", lost),
				watchOf("", "t2", away, "b"),
				watchOf("t2", "t3", nil),
			}})
			watch := watching(t, client.Watch(bounded(t), secrets.WatchRequest{}))
			watch.expect(secrets.Added, "a")
			watch.expect(secrets.Current, "")
			watch.expect(secrets.Restarted, "")
			watch.expect(secrets.Added, "b")
			watch.expect(secrets.Current, "")
			watch.expect(secrets.Current, "")
		})
	}
}

func TestAWatchCutOffWithinTheInitialStateBeginsAnew(t *testing.T) {
	client := fake(t, &script{watches: []watch{
		watchOf("", "", status.Error(codes.Unavailable, "gone"), "a"),
		watchOf("", "t", nil, "b"),
	}})
	watch := watching(t, client.Watch(bounded(t), secrets.WatchRequest{}))
	watch.expect(secrets.Added, "a")
	watch.expect(secrets.Restarted, "")
	watch.expect(secrets.Added, "b")
	watch.expect(secrets.Current, "")
}

func TestAWatchEndsOnWhatConnectingAgainDoesNotMend(t *testing.T) {
	refusal := refused(codes.InvalidArgument, "INVALID_FIELD", "filter.states[0]")
	client := fake(t, &script{watches: []watch{
		watchOf("", "", refusal),
	}})
	var seen []error
	for _, err := range client.Watch(bounded(t), secrets.WatchRequest{}) {
		seen = append(seen, err)
	}
	if len(seen) != 1 || !errors.Is(seen[0], secrets.ErrInvalid) {
		t.Errorf("told %v", seen)
	}
}

func TestAWatchEndsWithItsContextAlsoWhileTheServiceIsAway(t *testing.T) {
	client, err := secrets.New(t.Context(), "127.0.0.1:1", secrets.WithInsecure())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	for event, err := range client.Watch(ctx, secrets.WatchRequest{}) {
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("told %v, %v", event, err)
		}
	}
}

func TestAWatchOfAServiceThatLostItsDatabaseBeginsAnew(t *testing.T) {
	s := serve(t)
	watch := watching(t, s.client(t).Watch(bounded(t), secrets.WatchRequest{}))
	watch.expect(secrets.Current, "")
	s.kill()
	if err := os.RemoveAll(filepath.Join(s.directory, "data")); err != nil {
		t.Fatal(err)
	}
	s.restart(t)
	watch.expect(secrets.Restarted, "")
	watch.expect(secrets.Current, "")
	watch.expect(secrets.Added, create(t, s.client(t), "new"))
}
