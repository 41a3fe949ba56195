package secrets

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/keepalive"

	pb "github.com/iotoperations/secret-service/clients/go/gen/iotoperations/secrets/v1"
)

// Client calls one Secret Service. It is safe for use by many goroutines at once; they share its connection.
type Client struct {
	conn *grpc.ClientConn
	stub pb.SecretServiceClient
}

// How a dead connection is found out while a call or a watch waits for an answer.
var alive = keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}

// New makes a client of the service at target, a gRPC target such as "secret-service.azure-iot-operations:8443",
// "127.0.0.1:50051" or "unix:/run/secret-service.sock". Without options it speaks TLS and trusts what the system trusts.
//
// The connection is made with the first call, and made again whenever it is lost. [WithReady] connects at once, until ctx
// ends; nothing else depends on ctx afterwards.
func New(ctx context.Context, target string, options ...Option) (*Client, error) {
	s := defaults()
	for _, option := range options {
		option(&s)
	}
	transport, err := s.transport(target)
	if err != nil {
		return nil, err
	}
	calls := calls{newID: s.newID, timeout: s.timeout}
	dial := []grpc.DialOption{
		transport,
		grpc.WithUserAgent("secret-service-go"),
		grpc.WithDefaultServiceConfig(serviceConfig),
		grpc.WithKeepaliveParams(alive),
		grpc.WithChainUnaryInterceptor(calls.unary),
		grpc.WithChainStreamInterceptor(calls.stream),
	}
	if s.tokenFile != "" {
		dial = append(dial, grpc.WithPerRPCCredentials(tokenFile{path: s.tokenFile, plaintext: s.plaintext}))
	}
	conn, err := grpc.NewClient(target, append(dial, s.dial...)...)
	if err != nil {
		return nil, fmt.Errorf("secrets: target %q: %w", target, err)
	}
	if s.ready {
		if err := waitReady(ctx, conn); err != nil {
			_ = conn.Close()
			return nil, fmt.Errorf("secrets: no connection to %s: %w", target, err)
		}
	}
	return &Client{conn: conn, stub: pb.NewSecretServiceClient(conn)}, nil
}

// Close ends the connection and every call on it.
func (c *Client) Close() error { return c.conn.Close() }

// Stub is the generated client on the same connection: with the same deadlines, retries, request ids and errors, for what
// has no shorter form here, such as a single page of a list. Its requests print the values that they hold; the requests of
// this package don't.
func (c *Client) Stub() pb.SecretServiceClient { return c.stub }

func waitReady(ctx context.Context, conn *grpc.ClientConn) error {
	for {
		conn.Connect()
		state := conn.GetState()
		if state == connectivity.Ready {
			return nil
		}
		if !conn.WaitForStateChange(ctx, state) {
			return ctx.Err()
		}
	}
}

// onThisMachine says whether what is sent to a target never leaves this machine.
func onThisMachine(target string) bool {
	if strings.HasPrefix(target, "unix:") || strings.HasPrefix(target, "unix-abstract:") {
		return true
	}
	// A target that names a DNS server is left as it is, and so is none: that server could answer anything.
	address := target
	for _, scheme := range []string{"passthrough:///", "dns:///"} {
		address = strings.TrimPrefix(address, scheme)
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = strings.Trim(address, "[]")
	}
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
