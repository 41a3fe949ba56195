package secrets

import (
	"context"
	"io"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
)

const requestIDHeader = "x-request-id"

// serviceConfig retries what could not be reached. That is safe for changes too: calls gives each one a request_id, with
// which the service carries it out once. A watch goes on by itself, from where it was.
const serviceConfig = `{
	"methodConfig": [
		{
			"name": [{"service": "iotoperations.secrets.v1.SecretService"}],
			"retryPolicy": {
				"maxAttempts": 5,
				"initialBackoff": "0.1s",
				"maxBackoff": "1s",
				"backoffMultiplier": 3,
				"retryableStatusCodes": ["UNAVAILABLE"]
			}
		},
		{
			"name": [{"service": "iotoperations.secrets.v1.SecretService", "method": "WatchSyncedSecrets"}],
			"waitForReady": false
		}
	]
}`

// calls gives every call an id, a deadline and errors that say what is known.
type calls struct {
	newID   func() string
	timeout time.Duration
}

func (c calls) unary(
	ctx context.Context, method string, request, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption,
) error {
	ctx, id := c.identified(ctx)
	if message, ok := request.(proto.Message); ok {
		request = withRequestID(message, id)
	}
	if _, bounded := ctx.Deadline(); !bounded && c.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.timeout+waitOf(request))
		defer cancel()
	}
	return newError(method, id, conn.Target(), invoke(ctx, method, request, reply, conn, options...))
}

func (c calls) stream(
	ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, open grpc.Streamer, options ...grpc.CallOption,
) (grpc.ClientStream, error) {
	ctx, id := c.identified(ctx)
	opened, err := open(ctx, desc, conn, method, options...)
	if err != nil {
		return nil, newError(method, id, conn.Target(), err)
	}
	return &stream{opened, method, id, conn.Target()}, nil
}

// identified is the context with an x-request-id, the caller's own where it has one.
func (c calls) identified(ctx context.Context) (context.Context, string) {
	if sent, ok := metadata.FromOutgoingContext(ctx); ok {
		if ids := sent.Get(requestIDHeader); len(ids) > 0 {
			return ctx, ids[0]
		}
	}
	id := c.newID()
	return metadata.AppendToOutgoingContext(ctx, requestIDHeader, id), id
}

// stream is a stream whose errors say what is known.
type stream struct {
	grpc.ClientStream
	method, id, target string
}

func (s *stream) RecvMsg(message any) error {
	err := s.ClientStream.RecvMsg(message)
	if err == io.EOF {
		return err
	}
	return newError(s.method, s.id, s.target, err)
}

// withRequestID is the request with a request_id, where it takes one and has none. The caller's own message stays as it is:
// who calls twice with it means two requests.
func withRequestID(request proto.Message, id string) proto.Message {
	has, ok := request.(interface{ GetRequestId() string })
	if !ok || has.GetRequestId() != "" {
		return request
	}
	request = proto.Clone(request)
	message := request.ProtoReflect()
	message.Set(message.Descriptor().Fields().ByName("request_id"), protoreflect.ValueOfString(id))
	return request
}

func waitOf(request any) time.Duration {
	if waits, ok := request.(interface{ GetWait() *durationpb.Duration }); ok {
		return max(0, waits.GetWait().AsDuration())
	}
	return 0
}

// shortMethod is the RPC's own name.
func shortMethod(method string) string { return method[strings.LastIndex(method, "/")+1:] }
