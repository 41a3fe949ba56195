package sdk

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"
)

const scope = "https://vault.azure.net/.default"

func TestAClientMeetsOneChallengeVerifiesItAndAsksForOneToken(t *testing.T) {
	client, name := newClient(t), newName(t)
	tokens, challenges := asked(t, "Token")
	set(t, client, name, "v")
	get(t, client, name, "")
	tokensAfter, challengesAfter := asked(t, "Token")
	equal(t, "tokens", tokensAfter-tokens, 1)
	equal(t, "challenges", challengesAfter-challenges, 1)

	response, err := http.Get(vault + "/secrets/" + name + "?api-version=7.6")
	must(t, err)
	response.Body.Close()
	wanted := `Bearer authorization="` + authority + "/" + dev.TenantID + `", resource="https://vault.azure.net"`
	equal(t, "challenge", response.Header.Get("WWW-Authenticate"), wanted)
}

func TestUnderTheNameOfLoopbackVerificationFailsAndSaysSo(t *testing.T) {
	credential, err := azidentity.NewDefaultAzureCredential(nil)
	must(t, err)
	client, err := azsecrets.NewClient(dev.VaultURI, credential, nil)
	must(t, err)
	_, err = client.GetSecret(ctx(t), "any", "", nil)
	if err == nil || !strings.Contains(err.Error(), "doesn't match the requested domain") {
		t.Fatalf("not refused by the SDK: %v", err)
	}
}

func TestTheProxyRefusesEveryOtherHost(t *testing.T) {
	for _, host := range []string{"https://example.org/", "https://elsewhere.vault.azure.net/"} {
		_, err := http.Get(host)
		if err == nil || !strings.Contains(err.Error(), "Forbidden") {
			t.Fatalf("%s is not refused: %v", host, err)
		}
	}
}

func TestATokenIsKeptWhileItIsGoodAndANewOneIsGotBeforeItExpires(t *testing.T) {
	client, name := newClient(t), newName(t)
	// The SDK takes a new one five minutes before, but asks for it every 30 seconds at most: it must have expired for that.
	settings(t, `{"tokenLifetimeSeconds": 3}`)
	set(t, client, name, "v")
	before, _ := asked(t, "Token")
	time.Sleep(4 * time.Second)
	get(t, client, name, "")
	after, _ := asked(t, "Token")
	equal(t, "new tokens", after-before, 1)
}

func TestATokenThatTheVaultRevokesOnceIsSentAgainAfterTheChallenge(t *testing.T) {
	client, name := newClient(t), newName(t)
	set(t, client, name, "v")
	fault(t, "SecretGet", 1, `{"kind": "expiredToken"}`)
	equal(t, "value", *get(t, client, name, "").Value, "v")
}

func TestATokenThatTheVaultNeverAcceptsIsRefused(t *testing.T) {
	client, name := newClient(t), newName(t)
	set(t, client, name, "v")
	fault(t, "SecretGet", 9, `{"kind": "expiredToken"}`)
	_, err := client.GetSecret(ctx(t), name, "", nil)
	refused(t, err, 401, "Unauthorized", "")
}

func TestEntraRefusesAsItDoesAndSaysWhy(t *testing.T) {
	settings(t, `{"anyApplication": false}`)
	nobody := "11111111-1111-1111-1111-111111111111"
	cases := []struct{ tenant, client, secret, scope, says string }{
		{dev.TenantID, dev.ClientID, "wrong", scope, "AADSTS7000215"},
		{dev.TenantID, nobody, clientSecret, scope, "AADSTS700016"},
		{dev.TenantID, dev.ClientID, clientSecret, "https://graph.microsoft.com/.default", "AADSTS500011"},
		{nobody, dev.ClientID, clientSecret, scope, "AADSTS90002"},
	}
	for _, each := range cases {
		credential, err := azidentity.NewClientSecretCredential(each.tenant, each.client, each.secret, nil)
		must(t, err)
		_, err = credential.GetToken(ctx(t), policy.TokenRequestOptions{Scopes: []string{each.scope}})
		if err == nil || !strings.Contains(err.Error(), each.says) {
			t.Errorf("not refused with %s: %v", each.says, err)
		}
	}
}

func TestDiscoveryLeadsToTheHostsOfAzure(t *testing.T) {
	for _, path := range []string{"/" + dev.TenantID + "/v2.0/.well-known/openid-configuration", "/common/discovery/instance"} {
		response, err := http.Get(authority + path)
		must(t, err)
		response.Body.Close()
		equal(t, path, response.StatusCode, 200)
	}
}
