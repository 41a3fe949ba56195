package secrets_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	secrets "github.com/iotoperations/secret-service/clients/go"
	pb "github.com/iotoperations/secret-service/clients/go/gen/iotoperations/secrets/v1"
)

func TestAnErrorOfTheServiceSaysAllThatIsKnown(t *testing.T) {
	client := serve(t).client(t)
	name := create(t, client, "taken")
	_, err := client.Create(bounded(t), secrets.CreateRequest{
		ID: id(name), References: []secrets.Reference{secrets.AddExisting("k", "vaultSecrets/historian-token")},
	})
	var e *secrets.Error
	if !errors.As(err, &e) || !errors.Is(err, secrets.ErrAlreadyExists) || !errors.Is(err, secrets.ReasonSyncedSecretExists) {
		t.Fatalf("%v", err)
	}
	if errors.Is(err, secrets.ErrNotFound) || errors.Is(err, secrets.ReasonVaultSecretExists) {
		t.Errorf("it is everything: %v", err)
	}
	if e.Method != "CreateSyncedSecret" || e.Resource != name || e.RequestID == "" || e.Violations[0].Field != "synced_secret_id" {
		t.Errorf("%+v", e)
	}
	if status.Code(err) != codes.AlreadyExists {
		t.Errorf("gRPC sees %v", status.Code(err))
	}
}

// failing is a service that can't delete anything.
type failing struct {
	pb.UnimplementedSecretServiceServer
	failure error
	seen    []*pb.DeleteSyncedSecretRequest
}

func (f *failing) DeleteSyncedSecret(_ context.Context, request *pb.DeleteSyncedSecretRequest) (*pb.SyncedSecret, error) {
	f.seen = append(f.seen, request)
	return nil, f.failure
}

func statusOf(code codes.Code, message string, details ...protoadapt.MessageV1) error {
	s, err := status.New(code, message).WithDetails(details...)
	if err != nil {
		panic(err)
	}
	return s.Err()
}

func TestWhatIsInUseIsAnErrorWithItsUsages(t *testing.T) {
	client := fake(t, &failing{failure: statusOf(codes.FailedPrecondition, "Two resources use it.",
		&errdetails.ErrorInfo{Reason: "SYNCED_SECRET_IN_USE", Domain: "secret-service.iotoperations"},
		&errdetails.PreconditionFailure{Violations: []*errdetails.PreconditionFailure_Violation{
			{Type: "SYNCED_SECRET_IN_USE", Subject: "AssetEndpointProfile/opc-1", Description: "names it in spec.authentication"},
			{Type: "SYNCED_SECRET_IN_USE", Subject: "Dataflow/historian", Description: "names it in spec.token"},
		}},
	)})
	_, err := client.Delete(bounded(t), secrets.DeleteRequest{Name: "syncedSecrets/a"})
	var used *secrets.InUseError
	var e *secrets.Error
	if !errors.As(err, &used) || !errors.As(err, &e) || !errors.Is(err, secrets.ErrFailedPrecondition) {
		t.Fatalf("%v", err)
	}
	if len(used.Usages) != 2 || used.Usages[1].Subject != "Dataflow/historian" {
		t.Errorf("%+v", used.Usages)
	}
}

func TestAChangeIsRetriedWithTheSameRequestIDAndSaysWhenToTryAgain(t *testing.T) {
	service := &failing{failure: statusOf(codes.Unavailable, "The vault can't be reached. Try again later.",
		&errdetails.ErrorInfo{Reason: "VAULT_UNREACHABLE", Domain: "secret-service.iotoperations"},
		&errdetails.RetryInfo{RetryDelay: durationpb.New(5 * time.Second)},
	)}
	client := fake(t, service)
	_, err := client.Delete(bounded(t), secrets.DeleteRequest{Name: "syncedSecrets/a"})
	var e *secrets.Error
	if !errors.As(err, &e) || !errors.Is(err, secrets.ReasonVaultUnreachable) || e.RetryAfter != 5*time.Second {
		t.Errorf("%+v", err)
	}
	if len(service.seen) < 2 {
		t.Fatalf("tried %d times", len(service.seen))
	}
	first := service.seen[0].GetRequestId()
	for _, request := range service.seen {
		if request.GetRequestId() != first || len(first) != 36 {
			t.Errorf("sent as %q, first as %q", request.GetRequestId(), first)
		}
	}
}

func TestTwoChangesHaveTwoRequestIDsAndOneGivenIsKept(t *testing.T) {
	service, made := &failing{failure: statusOf(codes.NotFound, "not there")}, 0
	client := fake(t, service, secrets.WithRequestIDs(func() string { made++; return fmt.Sprint("id-", made) }))
	request := &pb.DeleteSyncedSecretRequest{Name: "syncedSecrets/a"}
	for range 2 {
		_, _ = client.Stub().DeleteSyncedSecret(bounded(t), request)
	}
	_, err := client.Delete(bounded(t), secrets.DeleteRequest{Name: "syncedSecrets/a", RequestID: "mine"})
	var sent []string
	for _, request := range service.seen {
		sent = append(sent, request.GetRequestId())
	}
	if got := strings.Join(sent, " "); got != "id-1 id-2 mine" || request.GetRequestId() != "" {
		t.Errorf("sent %s; the caller's message holds %q", got, request.GetRequestId())
	}
	if !errors.Is(err, secrets.ErrNotFound) {
		t.Error(err)
	}
}

func TestAServiceKilledInTheMiddleOfACallIsATypedError(t *testing.T) {
	s := serve(t, "--vault-latency-ms", "5000")
	client := s.client(t)
	failed := make(chan error, 1)
	go func() {
		_, err := client.Vault(context.Background())
		failed <- err
	}()
	time.Sleep(300 * time.Millisecond)
	select {
	case err := <-failed:
		t.Fatalf("the call ended before the service was killed: %v", err)
	default:
	}
	s.kill()
	select {
	case err := <-failed:
		var e *secrets.Error
		if !errors.As(err, &e) || !errors.Is(err, secrets.ErrUnavailable) || e.Reason != "" {
			t.Fatalf("%v", err)
		}
		if !strings.HasPrefix(err.Error(), "secrets: GetVault: The service at "+s.address+" can't be reached") {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Fatal("the call never ended")
	}
}

func TestACreateThatARestartCutsOffIsCarriedOutOnce(t *testing.T) {
	s := serve(t, "--vault-latency-ms", "500")
	client := s.client(t)
	type result struct {
		secret *pb.SyncedSecret
		err    error
	}
	done := make(chan result, 1)
	request := secrets.CreateRequest{
		ID:         "cut-off",
		References: []secrets.Reference{secrets.CreateNew("k", "vaultSecrets/cut-off", secrets.NewValue("v"))},
		Wait:       20 * time.Second,
		RequestID:  "5b0c6f2e-8f2d-4f0e-9d55-0d3c1b8f7a11",
	}
	go func() {
		secret, err := client.Create(context.Background(), request)
		// A machine may be slower to start a service than the client is patient.
		for errors.Is(err, secrets.ErrUnavailable) {
			secret, err = client.Create(context.Background(), request)
		}
		done <- result{secret, err}
	}()
	time.Sleep(250 * time.Millisecond)
	s.restart(t)
	select {
	case r := <-done:
		if r.err != nil || r.secret.GetState() != pb.SyncedSecret_STATE_SYNCED {
			t.Fatalf("%v, %v", r.secret, r.err)
		}
	case <-time.After(patience):
		t.Fatal("the call never ended")
	}
	versions := 0
	for _, err := range client.ListVaultSecretVersions(bounded(t), "vaultSecrets/cut-off") {
		if err != nil {
			t.Fatal(err)
		}
		versions++
	}
	if versions != 1 {
		t.Errorf("the vault holds %d versions", versions)
	}
}

func TestADeadlineIsTheContextsError(t *testing.T) {
	client := serve(t, "--vault-latency-ms", "3000").client(t, secrets.WithTimeout(200*time.Millisecond))
	_, err := client.Vault(t.Context())
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := client.Vault(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
