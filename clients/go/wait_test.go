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

func TestWaitSyncedSaysWhatIsInTheWay(t *testing.T) {
	service := &shown{secret: &pb.SyncedSecret{
		Name:  "syncedSecrets/a",
		State: pb.SyncedSecret_STATE_FAILED,
		Conditions: []*pb.Condition{{
			Type: "Synced", Status: pb.Condition_STATUS_FALSE, Reason: "VaultForbidden", Message: "The vault refuses. Grant the role.",
		}},
	}}
	service.watches = []watch{quiet}
	client := fake(t, service)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err := client.WaitSynced(ctx, "syncedSecrets/a")
	var not *secrets.NotSyncedError
	if !errors.As(err, &not) || !errors.Is(err, context.DeadlineExceeded) || not.Problem().GetReason() != "VaultForbidden" {
		t.Fatal(err)
	}
	if !strings.Contains(err.Error(), "Grant the role.") {
		t.Error(err)
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
