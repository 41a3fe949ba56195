package secrets_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	secrets "github.com/iotoperations/secret-service/clients/go"
	pb "github.com/iotoperations/secret-service/clients/go/gen/iotoperations/secrets/v1"
)

func TestWaitSyncedReturnsWhatTheEdgeHolds(t *testing.T) {
	client := serve(t, "--vault-latency-ms", "500").client(t)
	made, err := client.Create(bounded(t), secrets.CreateRequest{
		ID:         "slow",
		References: []secrets.Reference{secrets.AddExisting("token", "vaultSecrets/historian-token")},
	})
	if err != nil {
		t.Fatal(err)
	}
	if made.GetState() == pb.SyncedSecret_STATE_SYNCED {
		t.Fatal("it is synced before anyone waits")
	}
	synced, err := client.WaitSynced(bounded(t), made.GetName())
	if err != nil || synced.GetState() != pb.SyncedSecret_STATE_SYNCED || synced.GetSyncedGeneration() != synced.GetGeneration() {
		t.Errorf("%v, %v", synced, err)
	}
}

func TestWaitSyncedSaysWhyTheServiceFailed(t *testing.T) {
	client, ctx := serve(t).client(t), bounded(t)
	reference := secrets.CreateNew("k", "vaultSecrets/base64", secrets.NewValue("AAAA"))
	reference.Encoding = pb.SecretReference_ENCODING_BASE64
	made, err := client.Create(ctx, secrets.CreateRequest{ID: "fails", References: []secrets.Reference{reference}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.WaitSynced(ctx, made.GetName()); err != nil {
		t.Fatal(err)
	}
	version := secrets.AddVaultSecretVersionRequest{
		Parent: "vaultSecrets/base64", Secret: secrets.NewSecret{Value: secrets.NewValue("no base64")},
	}
	if _, err := client.AddVaultSecretVersion(ctx, version); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Update(ctx, secrets.UpdateRequest{Name: made.GetName(), Description: new("another")}); err != nil {
		t.Fatal(err)
	}
	_, err = client.WaitSynced(ctx, made.GetName())
	var not *secrets.NotSyncedError
	if !errors.As(err, &not) || not.Secret.GetState() != pb.SyncedSecret_STATE_DEGRADED || not.Problem().GetReason() == "" {
		t.Error(err)
	}
	if ctx.Err() != nil {
		t.Error("it ended only with its context")
	}
}

// shown is a service with one synced secret as a Get shows it, and watches by a script. Once gone, it isn't there.
type shown struct {
	script
	secret *pb.SyncedSecret
	gone   atomic.Bool
}

func (s *shown) GetSyncedSecret(context.Context, *pb.GetSyncedSecretRequest) (*pb.SyncedSecret, error) {
	if s.gone.Load() {
		return nil, status.Error(codes.NotFound, "not there")
	}
	return s.secret, nil
}

// standing is a synced secret in a state, with a condition that says why.
func standing(state pb.SyncedSecret_State) *pb.SyncedSecret {
	return &pb.SyncedSecret{
		Name:       "syncedSecrets/a",
		Generation: 2,
		State:      state,
		Conditions: []*pb.Condition{{
			Type: "Synced", Status: pb.Condition_STATUS_FALSE, Reason: "VaultForbidden", Message: "The vault refuses. Grant the role.",
		}},
	}
}

// tells is a watch that tells states of a secret, and then nothing.
func tells(secrets ...*pb.SyncedSecret) watch {
	return func(_ *pb.WatchSyncedSecretsRequest, stream grpc.ServerStreamingServer[pb.WatchSyncedSecretsResponse]) error {
		for _, secret := range secrets {
			_ = stream.Send(&pb.WatchSyncedSecretsResponse{Type: pb.WatchSyncedSecretsResponse_TYPE_MODIFIED, SyncedSecret: secret})
		}
		return quiet(nil, stream)
	}
}

func TestWaitSyncedEndsWithTheCauseOfAFailureThoughItsContextNeverEnds(t *testing.T) {
	states := []pb.SyncedSecret_State{
		pb.SyncedSecret_STATE_FAILED, pb.SyncedSecret_STATE_DEGRADED, pb.SyncedSecret_STATE_DELETING,
	}
	for _, state := range states {
		ended, pending := standing(state), standing(pb.SyncedSecret_STATE_PENDING)
		cases := map[string]*shown{
			"at once":          {secret: ended, script: script{watches: []watch{quiet}}},
			"while it watches": {secret: pending, script: script{watches: []watch{tells(ended)}}},
		}
		for when, service := range cases {
			t.Run(state.String()+" "+when, func(t *testing.T) {
				ended := make(chan error, 1)
				client := fake(t, service)
				go func() {
					_, err := client.WaitSynced(context.Background(), "syncedSecrets/a")
					ended <- err
				}()
				select {
				case err := <-ended:
					var not *secrets.NotSyncedError
					if !errors.As(err, &not) || not.Secret.GetState() != state || not.Problem().GetReason() != "VaultForbidden" {
						t.Fatal(err)
					}
					if errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "Grant the role. (VaultForbidden)") {
						t.Error(err)
					}
				case <-time.After(5 * time.Second):
					t.Fatal("it waits on")
				}
			})
		}
	}
}

func TestWaitSyncedWaitsThroughFailuresWhereItIsToldTo(t *testing.T) {
	mended := &pb.SyncedSecret{
		Name: "syncedSecrets/a", State: pb.SyncedSecret_STATE_SYNCED, Generation: 2, SyncedGeneration: 2,
	}
	service := &shown{secret: standing(pb.SyncedSecret_STATE_FAILED)}
	service.watches = []watch{tells(standing(pb.SyncedSecret_STATE_DEGRADED), mended)}
	found, err := fake(t, service).WaitSynced(bounded(t), "syncedSecrets/a", secrets.ThroughFailures())
	if err != nil || found.GetState() != pb.SyncedSecret_STATE_SYNCED {
		t.Error(found, err)
	}
}

func TestWaitSyncedSaysWhatIsInTheWayWhenItsContextEnds(t *testing.T) {
	for _, state := range []pb.SyncedSecret_State{pb.SyncedSecret_STATE_PENDING, pb.SyncedSecret_STATE_FAILED} {
		service := &shown{secret: standing(state)}
		service.watches = []watch{quiet}
		client := fake(t, service)
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		_, err := client.WaitSynced(ctx, "syncedSecrets/a", secrets.ThroughFailures())
		var not *secrets.NotSyncedError
		if !errors.As(err, &not) || !errors.Is(err, context.DeadlineExceeded) || not.Problem().GetReason() != "VaultForbidden" {
			t.Fatal(err)
		}
		if !strings.Contains(err.Error(), "Grant the role.") {
			t.Error(err)
		}
	}
}

func TestWaitSyncedOfWhatIsNotThereIsNotFound(t *testing.T) {
	client := serve(t).client(t)
	if _, err := client.WaitSynced(bounded(t), "syncedSecrets/nowhere"); !errors.Is(err, secrets.ErrNotFound) {
		t.Error(err)
	}
}

func TestWaitSyncedEndsWhenItIsDeletedMeanwhile(t *testing.T) {
	pending := &pb.SyncedSecret{Name: "syncedSecrets/a", State: pb.SyncedSecret_STATE_PENDING}
	deleted := func(service *shown) watch {
		return func(_ *pb.WatchSyncedSecretsRequest, stream grpc.ServerStreamingServer[pb.WatchSyncedSecretsResponse]) error {
			_ = stream.Send(&pb.WatchSyncedSecretsResponse{Type: pb.WatchSyncedSecretsResponse_TYPE_ADDED, SyncedSecret: pending})
			service.gone.Store(true)
			_ = stream.Send(&pb.WatchSyncedSecretsResponse{Type: pb.WatchSyncedSecretsResponse_TYPE_DELETED, SyncedSecret: pending})
			return quiet(nil, stream)
		}
	}
	// Between the first look and the watch, so that only what the watch doesn't tell says so.
	before := func(service *shown) watch {
		return func(_ *pb.WatchSyncedSecretsRequest, stream grpc.ServerStreamingServer[pb.WatchSyncedSecretsResponse]) error {
			service.gone.Store(true)
			_ = stream.Send(&pb.WatchSyncedSecretsResponse{Type: pb.WatchSyncedSecretsResponse_TYPE_BOOKMARK, ResumeToken: "t"})
			return quiet(nil, stream)
		}
	}
	for name, watching := range map[string]func(*shown) watch{"while watching": deleted, "before watching": before} {
		t.Run(name, func(t *testing.T) {
			service := &shown{secret: pending}
			service.watches = []watch{watching(service)}
			if _, err := fake(t, service).WaitSynced(bounded(t), pending.GetName()); !errors.Is(err, secrets.ErrNotFound) {
				t.Error(err)
			}
		})
	}
}

// quiet is a watch in which nothing happens.
func quiet(_ *pb.WatchSyncedSecretsRequest, stream grpc.ServerStreamingServer[pb.WatchSyncedSecretsResponse]) error {
	<-stream.Context().Done()
	return stream.Context().Err()
}
