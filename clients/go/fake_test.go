package secrets_test

import (
	"context"
	"net"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/test/bufconn"

	secrets "github.com/iotoperations/secret-service/clients/go"
	pb "github.com/iotoperations/secret-service/clients/go/gen/iotoperations/secrets/v1"
)

// fake is a client of a service that a test makes up, in memory.
func fake(t *testing.T, service pb.SecretServiceServer, options ...secrets.Option) *secrets.Client {
	t.Helper()
	listener, server := bufconn.Listen(64*1024), grpc.NewServer()
	pb.RegisterSecretServiceServer(server, service)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	dial := secrets.WithDialOptions(grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
		return listener.DialContext(ctx)
	}))
	client, err := secrets.New(t.Context(), "passthrough:///localhost", append(options, dial, secrets.WithInsecure())...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}
