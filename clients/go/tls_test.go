package secrets_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"

	secrets "github.com/iotoperations/secret-service/clients/go"
	pb "github.com/iotoperations/secret-service/clients/go/gen/iotoperations/secrets/v1"
)

// authority signs certificates for a test.
type authority struct {
	t           *testing.T
	directory   string
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t, directory: t.TempDir()}
	a.certificate, a.key = a.sign("authority", nil, nil)
	return a
}

// sign writes NAME.pem and NAME.key; without a signer it signs itself.
func (a *authority) sign(name string, signer *x509.Certificate, signedBy *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(a.t, err)
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(time.Now().UnixNano()),
		Subject:               pkix.Name{CommonName: name},
		DNSNames:              []string{name},
		NotAfter:              time.Now().Add(time.Hour),
		IsCA:                  signer == nil,
		BasicConstraintsValid: true,
	}
	if signer == nil {
		signer, signedBy = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, signer, &key.PublicKey, signedBy)
	must(a.t, err)
	keyDER, err := x509.MarshalECPrivateKey(key)
	must(a.t, err)
	for suffix, block := range map[string]*pem.Block{
		".pem": {Type: "CERTIFICATE", Bytes: der},
		".key": {Type: "EC PRIVATE KEY", Bytes: keyDER},
	} {
		must(a.t, os.WriteFile(a.path(name+suffix), pem.EncodeToMemory(block), 0o600))
	}
	certificate, err := x509.ParseCertificate(der)
	must(a.t, err)
	return certificate, key
}

func (a *authority) path(name string) string { return filepath.Join(a.directory, name) }

// secured is a service over TLS that demands a client certificate and remembers whose.
type secured struct {
	pb.UnimplementedSecretServiceServer
	callers []string
}

func (s *secured) GetVault(ctx context.Context, _ *pb.GetVaultRequest) (*pb.Vault, error) {
	p, _ := peer.FromContext(ctx)
	caller := p.AuthInfo.(credentials.TLSInfo).State.PeerCertificates[0]
	s.callers = append(s.callers, caller.SerialNumber.String())
	return &pb.Vault{}, nil
}

func TestAClientCertificateIsReadAgainForEveryConnection(t *testing.T) {
	a := newAuthority(t)
	a.sign("secret-service", a.certificate, a.key)
	pair, err := tls.LoadX509KeyPair(a.path("secret-service.pem"), a.path("secret-service.key"))
	must(t, err)
	trusted := x509.NewCertPool()
	trusted.AddCert(a.certificate)
	service, server := &secured{}, grpc.NewServer(grpc.Creds(credentials.NewTLS(&tls.Config{
		Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: trusted,
	})))
	pb.RegisterSecretServiceServer(server, service)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)

	first, _ := a.sign("caller", a.certificate, a.key)
	target, name := listener.Addr().String(), secrets.WithServerName("secret-service")
	mtls := secrets.WithMTLS(a.path("authority.pem"), a.path("caller.pem"), a.path("caller.key"))
	connections := make(chan net.Conn, 10)
	client, err := secrets.New(t.Context(), target, mtls, name, secrets.WithDialOptions(
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			connection, err := new(net.Dialer).DialContext(ctx, "tcp", address)
			if err == nil {
				connections <- connection
			}
			return connection, err
		})))
	must(t, err)
	defer client.Close()
	_, err = client.Vault(bounded(t))
	must(t, err)

	renewed, _ := a.sign("caller", a.certificate, a.key)
	(<-connections).Close()
	_, err = client.Vault(bounded(t))
	must(t, err)
	if len(service.callers) != 2 || service.callers[0] != first.SerialNumber.String() || service.callers[1] != renewed.SerialNumber.String() {
		t.Errorf("called as %v", service.callers)
	}

	// Without the authority, or under another name, the service is not trusted; without a certificate it refuses.
	for said, options := range map[string][]secrets.Option{
		"another authority": {name},
		"another name":      {mtls},
		"no certificate":    {name, secrets.WithTLS(a.path("authority.pem"))},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		client, err := secrets.New(ctx, target, options...)
		must(t, err)
		if _, err := client.Vault(ctx); err == nil {
			t.Errorf("%s: it is trusted", said)
		}
		client.Close()
		cancel()
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
