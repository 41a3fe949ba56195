package secrets

import (
	"bytes"
	"context"
	"fmt"
	"os"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// tokenFile sends the token that a file holds at the time of each call.
type tokenFile struct {
	path      string
	plaintext bool
}

func (t tokenFile) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	token, err := os.ReadFile(t.path)
	if err != nil {
		return nil, status.Error(codes.Unauthenticated, fmt.Sprintf("no token to send: %v", err))
	}
	token = bytes.TrimSpace(token)
	if len(token) == 0 {
		return nil, status.Errorf(codes.Unauthenticated, "no token to send: %s is empty", t.path)
	}
	return map[string]string{"authorization": "Bearer " + string(token)}, nil
}

// RequireTransportSecurity is false only where New saw that the target is on this machine.
func (t tokenFile) RequireTransportSecurity() bool { return !t.plaintext }
