// Package sdk holds the Key Vault double to Azure's own Go SDK on its production defaults.
//
// The environment leads there (HTTPS_PROXY, SSL_CERT_FILE, AZURE_*); DEV_JSON names the dev.json of a running
// `secret-service dev`.
package sdk

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"
)

const authority = "https://login.microsoftonline.com"

// dev is what dev.json says.
var dev struct {
	VaultURI       string `json:"vault_uri"`
	VaultCA        string `json:"vault_ca"`
	VaultPublicURI string `json:"vault_public_uri"`
	TenantID       string `json:"vault_tenant_id"`
	ClientID       string `json:"vault_client_id"`
	SecretFile     string `json:"vault_client_secret_file"`
}

var (
	vault, clientSecret string
	// switches reaches the double on loopback, which is no part of what the SDK sees.
	switches *http.Client
)

func TestMain(m *testing.M) {
	if err := prepare(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	os.Exit(m.Run())
}

func prepare() error {
	text, err := os.ReadFile(os.Getenv("DEV_JSON"))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, &dev); err != nil {
		return err
	}
	vault = strings.TrimSuffix(dev.VaultPublicURI, "/")
	secret, err := os.ReadFile(dev.SecretFile)
	if err != nil {
		return err
	}
	clientSecret = string(secret)
	ca, err := os.ReadFile(dev.VaultCA)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	switches = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	return nil
}

// newClient has nothing but the vault's URL and the credential of the environment.
func newClient(t *testing.T) *azsecrets.Client {
	t.Helper()
	credential, err := azidentity.NewDefaultAzureCredential(nil)
	must(t, err)
	return clientWith(t, credential, nil)
}

func clientWith(t *testing.T, credential azcore.TokenCredential, options *azsecrets.ClientOptions) *azsecrets.Client {
	t.Helper()
	client, err := azsecrets.NewClient(vault, credential, options)
	must(t, err)
	return client
}

// call uses a switch of the double and reads its answer, if any.
func call(t *testing.T, method, path, body string, into any) {
	t.Helper()
	request, err := http.NewRequest(method, dev.VaultURI+".double/"+path, strings.NewReader(body))
	must(t, err)
	request.Header.Set("x-double-key", clientSecret)
	request.Header.Set("content-type", "application/json")
	response, err := switches.Do(request)
	must(t, err)
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	must(t, err)
	if response.StatusCode >= 300 {
		t.Fatalf("%s %s: %s: %s", method, path, response.Status, answer)
	}
	if into != nil {
		must(t, json.NewDecoder(bytes.NewReader(answer)).Decode(into))
	}
}

// settings holds until the test's end.
func settings(t *testing.T, json string) {
	t.Helper()
	call(t, "PUT", "settings", json, nil)
	t.Cleanup(func() { call(t, "PUT", "settings", "{}", nil) })
}

// fault is met by the next so many requests for an operation.
func fault(t *testing.T, operation string, times int, fault string) {
	t.Helper()
	call(t, "POST", "faults", fmt.Sprintf(`{"match": {"operation": %q}, "times": %d, "fault": %s}`, operation, times, fault), nil)
	t.Cleanup(func() { call(t, "DELETE", "faults", "", nil) })
}

// asked says how often an operation was asked for, and how many challenges were answered.
func asked(t *testing.T, operation string) (times, challenges int) {
	t.Helper()
	var counts struct {
		Operations map[string]int
		Challenges int
	}
	call(t, "GET", "requests", "", &counts)
	return counts.Operations[operation], counts.Challenges
}

var notInNames = regexp.MustCompile("[^0-9a-zA-Z]+")

// newName is a name that no other test has.
func newName(t *testing.T) string {
	return notInNames.ReplaceAllString(t.Name(), "-") + "-" + strings.ToLower(rand.Text()[:8])
}

func set(t *testing.T, client *azsecrets.Client, name, value string) azsecrets.Secret {
	t.Helper()
	made, err := client.SetSecret(ctx(t), name, azsecrets.SetSecretParameters{Value: &value}, nil)
	must(t, err)
	return made.Secret
}

func get(t *testing.T, client *azsecrets.Client, name, version string) azsecrets.Secret {
	t.Helper()
	got, err := client.GetSecret(ctx(t), name, version, nil)
	must(t, err)
	return got.Secret
}

func remove(t *testing.T, client *azsecrets.Client, name string) azsecrets.DeletedSecret {
	t.Helper()
	gone, err := client.DeleteSecret(ctx(t), name, nil)
	must(t, err)
	return gone.DeletedSecret
}

func purge(t *testing.T, client *azsecrets.Client, name string) {
	t.Helper()
	_, err := client.PurgeDeletedSecret(ctx(t), name, nil)
	must(t, err)
}

func ctx(t *testing.T) context.Context { return t.Context() }

func to[T any](value T) *T { return &value }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("%s: %v, not %v", what, got, want)
	}
}

// refused checks status, code and inner code of an error that the SDK returned.
func refused(t *testing.T, err error, status int, code, inner string) {
	t.Helper()
	var response *azcore.ResponseError
	if !errors.As(err, &response) {
		t.Fatalf("not refused by the vault: %v", err)
	}
	var body struct {
		Error struct {
			InnerError struct{ Code string }
		}
	}
	text, err := io.ReadAll(response.RawResponse.Body)
	must(t, err)
	must(t, json.Unmarshal(text, &body))
	got := fmt.Sprint(response.StatusCode, response.ErrorCode, body.Error.InnerError.Code)
	equal(t, "the refusal", got, fmt.Sprint(status, code, inner))
}
