package secrets_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	secrets "github.com/iotoperations/secret-service/clients/go"
	pb "github.com/iotoperations/secret-service/clients/go/gen/iotoperations/secrets/v1"
)

func TestAListGoesThroughAllPagesAsOftenAsItIsLoopedOver(t *testing.T) {
	client := serve(t).client(t)
	var made []string
	for i := range 7 {
		made = append(made, create(t, client, fmt.Sprintf("page-%d", i)))
	}
	all := client.List(bounded(t), &pb.ListSyncedSecretsRequest{PageSize: 3})
	for range 2 {
		var found []string
		for secret, err := range all {
			if err != nil {
				t.Fatal(err)
			}
			found = append(found, secret.GetName())
		}
		if !slices.Equal(found, made) {
			t.Errorf("%v instead of %v", found, made)
		}
	}
	vault := 0
	for _, err := range client.ListVaultSecrets(bounded(t), &pb.ListVaultSecretsRequest{PageSize: 2}) {
		if err != nil {
			t.Fatal(err)
		}
		vault++
	}
	if vault < 7 {
		t.Errorf("found only %d vault secrets", vault)
	}
}

// paged is a service with pages of one, whose third page fails.
type paged struct {
	pb.UnimplementedSecretServiceServer
	asked []string
}

func (p *paged) ListAuditEvents(_ context.Context, request *pb.ListAuditEventsRequest) (*pb.ListAuditEventsResponse, error) {
	p.asked = append(p.asked, request.GetPageToken())
	if len(p.asked) == 3 {
		return nil, status.Error(codes.Internal, "broken")
	}
	next := fmt.Sprint(len(p.asked))
	return &pb.ListAuditEventsResponse{AuditEvents: []*pb.AuditEvent{{Name: next}}, NextPageToken: next}, nil
}

func TestAListEndsWithTheErrorOfAPage(t *testing.T) {
	service := &paged{}
	var told []string
	for event, err := range fake(t, service).Audit(bounded(t), nil) {
		told = append(told, fmt.Sprint(event.GetName(), err != nil))
		var e *secrets.Error
		if err != nil && !errors.As(err, &e) {
			t.Error(err)
		}
	}
	if got := strings.Join(told, " "); got != "1false 2false true" {
		t.Error(got)
	}
}

func TestAListFetchesNoPageThatTheLoopDoesNotComeTo(t *testing.T) {
	service := &paged{}
	for range fake(t, service).Audit(bounded(t), &pb.ListAuditEventsRequest{PageToken: "from-here"}) {
		break
	}
	if !slices.Equal(service.asked, []string{"from-here"}) {
		t.Errorf("asked for %q", service.asked)
	}
}
