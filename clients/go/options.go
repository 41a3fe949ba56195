package secrets

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// Option says how a [Client] connects and calls.
type Option func(*settings)

type settings struct {
	caFile, certFile, keyFile string
	serverName                string
	tokenFile                 string
	plaintext, anywhere       bool
	ready                     bool
	newID                     func() string
	timeout                   time.Duration
	dial                      []grpc.DialOption
}

func defaults() settings {
	return settings{newID: newUUID, timeout: 30 * time.Second}
}

// WithTLS trusts the certificate authorities in a PEM file instead of those that the system trusts.
func WithTLS(caFile string) Option {
	return func(s *settings) { s.caFile = caFile }
}

// WithMTLS is [WithTLS] with a client certificate. The certificate and its key are read again for every connection, so a
// renewed one is used without a restart. An empty caFile trusts what the system trusts.
func WithMTLS(caFile, certFile, keyFile string) Option {
	return func(s *settings) { s.caFile, s.certFile, s.keyFile = caFile, certFile, keyFile }
}

// WithServerName expects this name in the server's certificate, where it isn't the host of the target.
func WithServerName(name string) Option {
	return func(s *settings) { s.serverName = name }
}

// WithTokenFile sends the token in a file with every call, for example a projected service account token with the audience
// "secret-service". The file is read for every call, so a rotated token is used at once. The token is never sent without
// TLS but to this machine.
func WithTokenFile(path string) Option {
	return func(s *settings) { s.tokenFile = path }
}

// WithInsecure speaks plaintext to this machine: a loopback address or a Unix socket. Other targets are refused.
func WithInsecure() Option {
	return func(s *settings) { s.plaintext = true }
}

// WithInsecureAnywhere speaks plaintext to any target: whoever is on the way reads every value that is created. Only for
// a network that encrypts by itself. A token is still not sent off this machine.
func WithInsecureAnywhere() Option {
	return func(s *settings) { s.plaintext, s.anywhere = true, true }
}

// WithReady makes [New] wait until the service is connected, or its context ends.
func WithReady() Option {
	return func(s *settings) { s.ready = true }
}

// WithRequestIDs takes the ids of requests, UUIDs, from next instead of at random. Each call sends one as x-request-id, and
// each change that names none itself has it as its request_id.
func WithRequestIDs(next func() string) Option {
	return func(s *settings) { s.newID = next }
}

// WithTimeout bounds calls whose context has no deadline; 30 seconds where it isn't given. What a request asks the service
// to wait comes on top. Watches are not bounded.
func WithTimeout(timeout time.Duration) Option {
	return func(s *settings) { s.timeout = timeout }
}

// WithDialOptions adds options of gRPC itself, for interceptors, statistics or a proxy.
func WithDialOptions(options ...grpc.DialOption) Option {
	return func(s *settings) { s.dial = append(s.dial, options...) }
}

func (s *settings) transport(target string) (grpc.DialOption, error) {
	if s.plaintext {
		return s.insecure(target)
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: s.serverName}
	if s.caFile != "" {
		pem, err := os.ReadFile(s.caFile)
		if err != nil {
			return nil, fmt.Errorf("secrets: certificate authorities: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("secrets: no certificate in %s", s.caFile)
		}
	}
	if s.certFile != "" || s.keyFile != "" {
		read := func() (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(s.certFile, s.keyFile)
			if err != nil {
				return nil, fmt.Errorf("secrets: client certificate: %w", err)
			}
			return &pair, nil
		}
		// Now for the error of a mistake, then for each connection.
		if _, err := read(); err != nil {
			return nil, err
		}
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return read() }
	}
	return grpc.WithTransportCredentials(credentials.NewTLS(config)), nil
}

func (s *settings) insecure(target string) (grpc.DialOption, error) {
	local := onThisMachine(target)
	switch {
	case s.caFile != "" || s.certFile != "" || s.keyFile != "" || s.serverName != "":
		return nil, errors.New("secrets: plaintext and TLS exclude each other: choose one of the options")
	case !local && !s.anywhere:
		return nil, fmt.Errorf("secrets: %q is not on this machine, and plaintext would show every value on the way: use WithTLS", target)
	case !local && s.tokenFile != "":
		return nil, fmt.Errorf("secrets: a token is not sent to %q in plaintext: use WithTLS", target)
	}
	return grpc.WithTransportCredentials(insecure.NewCredentials()), nil
}

// newUUID is a random UUID, of version 4.
func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // It never fails.
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:])
}
