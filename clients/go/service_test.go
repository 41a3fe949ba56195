package secrets_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	secrets "github.com/iotoperations/secret-service/clients/go"
)

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

// service is a `secret-service dev` of a test's own, on a port and a directory that stay the same over restarts.
type service struct {
	address, directory string
	options            []string
	process            *exec.Cmd
}

// binary is the secret-service to test against; empty where there is none.
func binary() string {
	if path := os.Getenv("SECRET_SERVICE_BINARY"); path != "" {
		return path
	}
	for _, built := range []string{"debug", "release"} {
		path, _ := filepath.Abs(filepath.Join("../../target", built, "secret-service"))
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return ""
}

// TestMain runs the examples against a service, and leaves them out where there is none.
func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(func() int {
		if binary() == "" {
			fmt.Println("SKIPPED the examples: no secret-service to run them against; build it, or set SECRET_SERVICE_BINARY")
			_ = flag.Set("test.skip", "^Example")
			return m.Run()
		}
		directory, err := os.MkdirTemp("", "secret-service-go")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(directory)
		s := newService(directory)
		if err := s.start(); err != nil {
			panic(err)
		}
		defer s.kill()
		os.Setenv("SECRET_SERVICE_ADDRESS", s.address)
		return m.Run()
	}())
}

func serve(t *testing.T, options ...string) *service {
	t.Helper()
	if binary() == "" {
		t.Skip("SKIPPED: no secret-service to test against; build it, or set SECRET_SERVICE_BINARY")
	}
	s := newService(t.TempDir(), options...)
	t.Cleanup(s.kill)
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	return s
}

func newService(directory string, options ...string) *service {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer listener.Close()
	return &service{address: listener.Addr().String(), directory: directory, options: options}
}

// start returns when the service answers.
func (s *service) start() error {
	place := filepath.Join(s.directory, "data", "dev.json")
	_ = os.Remove(place)
	output, err := os.OpenFile(filepath.Join(s.directory, "output"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer output.Close()
	arguments := append([]string{"dev", "--listen", s.address, "--data-dir", filepath.Dir(place)}, s.options...)
	s.process = exec.Command(binary(), arguments...)
	s.process.Stdout, s.process.Stderr = output, output
	if err := s.process.Start(); err != nil {
		return err
	}
	for begun := time.Now(); time.Since(begun) < patience; time.Sleep(10 * time.Millisecond) {
		if text, err := os.ReadFile(place); err == nil && json.Valid(text) {
			return nil
		}
	}
	printed, _ := os.ReadFile(output.Name())
	return fmt.Errorf("never ready: %s", printed)
}

// kill ends it at once, as kill -9 does.
func (s *service) kill() {
	if s.process != nil {
		_ = s.process.Process.Kill()
		_ = s.process.Wait()
		s.process = nil
	}
}

func (s *service) restart(t *testing.T) {
	t.Helper()
	s.kill()
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
}

func (s *service) client(t *testing.T, options ...secrets.Option) *secrets.Client {
	t.Helper()
	client, err := secrets.New(t.Context(), s.address, append(options, secrets.WithInsecure())...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

// bounded is a context that ends the test's calls before the test's patience does.
func bounded(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// create makes a synced secret of a vault secret that every dev service has.
func create(t *testing.T, client *secrets.Client, id string) string {
	t.Helper()
	made, err := client.Create(bounded(t), secrets.CreateRequest{
		ID:         id,
		References: []secrets.Reference{secrets.AddExisting("token", "vaultSecrets/historian-token")},
		Wait:       10 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	return made.GetName()
}

// id is the last part of a name.
func id(name string) string { return name[strings.LastIndex(name, "/")+1:] }
