package secrets_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc/metadata"

	secrets "github.com/iotoperations/secret-service/clients/go"
	pb "github.com/iotoperations/secret-service/clients/go/gen/iotoperations/secrets/v1"
)

func TestPlaintextIsForThisMachineAloneUnlessForced(t *testing.T) {
	for target, allowed := range map[string]bool{
		"127.0.0.1:50051":                   true,
		"127.9.9.9:1":                       true,
		"[::1]:50051":                       true,
		"localhost:50051":                   true,
		"dns:///localhost:50051":            true,
		"passthrough:///127.0.0.1:1":        true,
		"unix:/run/secret-service.sock":     true,
		"unix:///run/secret-service.sock":   true,
		"unix-abstract:secret-service":      true,
		"secret-service:8443":               false,
		"10.0.0.1:50051":                    false,
		"localhost.example:50051":           false,
		"dns:///secret-service:8443":        false,
		"dns://8.8.8.8/localhost:50051":     false,
		"xds:///localhost:50051":            false,
		"127.0.0.1.example:50051":           false,
		"dns:///127.0.0.1.example.:50051":   false,
		"ipv4:10.0.0.1:50051":               false,
		"passthrough:///10.0.0.1@127.0.0.1": false,
	} {
		client, err := secrets.New(t.Context(), target, secrets.WithInsecure())
		if (err == nil) != allowed {
			t.Errorf("%s: %v", target, err)
		}
		if err == nil {
			client.Close()
		}
	}
	client, err := secrets.New(t.Context(), "secret-service:50051", secrets.WithInsecureAnywhere())
	if err != nil {
		t.Fatal(err)
	}
	client.Close()
}

func TestATokenIsNotSentInPlaintextOffThisMachine(t *testing.T) {
	_, err := secrets.New(t.Context(), "secret-service:50051", secrets.WithInsecureAnywhere(), secrets.WithTokenFile("token"))
	if err == nil || !strings.Contains(err.Error(), "token") {
		t.Error(err)
	}
}

// greeted is a service that remembers who called.
type greeted struct {
	pb.UnimplementedSecretServiceServer
	authorization, ids []string
}

func (g *greeted) GetVault(ctx context.Context, _ *pb.GetVaultRequest) (*pb.Vault, error) {
	sent, _ := metadata.FromIncomingContext(ctx)
	g.authorization = append(g.authorization, sent.Get("authorization")...)
	g.ids = append(g.ids, sent.Get("x-request-id")...)
	return &pb.Vault{}, nil
}

func TestATokenFileIsReadAgainForEveryCall(t *testing.T) {
	file, service := filepath.Join(t.TempDir(), "token"), &greeted{}
	client := fake(t, service, secrets.WithTokenFile(file))
	if _, err := client.Vault(bounded(t)); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("without the file: %v", err)
	}
	for _, token := range []string{"first\n", "second"} {
		if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := client.Vault(bounded(t)); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Join(service.authorization, ", "); got != "Bearer first, Bearer second" {
		t.Error(got)
	}
}

func TestTheCallersOwnRequestIDIsSent(t *testing.T) {
	service := &greeted{}
	client := fake(t, service)
	ctx := metadata.AppendToOutgoingContext(bounded(t), "x-request-id", "mine")
	for _, ctx := range []context.Context{ctx, bounded(t)} {
		if _, err := client.Vault(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if len(service.ids) != 2 || service.ids[0] != "mine" || len(service.ids[1]) != 36 {
		t.Errorf("%q", service.ids)
	}
}

func TestAMistakeInAnOptionIsSaidAtOnce(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for said, options := range map[string][]secrets.Option{
		"nowhere.pem":        {secrets.WithTLS("nowhere.pem")},
		"no certificate in":  {secrets.WithTLS(empty)},
		"client certificate": {secrets.WithMTLS("", empty, empty)},
		"exclude each other": {secrets.WithTLS(empty), secrets.WithInsecure()},
		"context deadline":   {secrets.WithInsecure(), secrets.WithReady()},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 1)
		_, err := secrets.New(ctx, "127.0.0.1:1", options...)
		cancel()
		if err == nil || !strings.Contains(err.Error(), said) {
			t.Errorf("%s: %v", said, err)
		}
	}
}
