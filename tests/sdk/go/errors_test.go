package sdk

import (
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"
)

func parameters(value string) azsecrets.SetSecretParameters {
	return azsecrets.SetSecretParameters{Value: &value}
}

func TestWhatIsNotThereIsNotFound(t *testing.T) {
	client, name := newClient(t), newName(t)
	notFound := func(_ any, err error) {
		t.Helper()
		refused(t, err, 404, "SecretNotFound", "")
	}
	notFound(client.GetSecret(ctx(t), name, "", nil))
	notFound(client.DeleteSecret(ctx(t), name, nil))
	notFound(client.BackupSecret(ctx(t), name, nil))
	notFound(client.GetDeletedSecret(ctx(t), name, nil))
	notFound(client.RecoverDeletedSecret(ctx(t), name, nil))
	notFound(client.PurgeDeletedSecret(ctx(t), name, nil))
	set(t, client, name, "v")
	notFound(client.GetSecret(ctx(t), name, strings.Repeat("0", 32), nil))
}

func TestTheNameOfADeletedSecretIsTaken(t *testing.T) {
	client, name := newClient(t), newName(t)
	set(t, client, name, "v")
	remove(t, client, name)
	_, err := client.SetSecret(ctx(t), name, parameters("w"), nil)
	refused(t, err, 409, "Conflict", "ObjectIsDeletedButRecoverable")
}

func TestWhileTheVaultIsDeletingASecretNothingElseCanBeDoneWithIt(t *testing.T) {
	client, name := newClient(t), newName(t)
	settings(t, `{"transitionMilliseconds": 60000}`)
	set(t, client, name, "v")
	remove(t, client, name)
	_, err := client.SetSecret(ctx(t), name, parameters("w"), nil)
	refused(t, err, 409, "Conflict", "ObjectIsBeingDeleted")
	_, err = client.PurgeDeletedSecret(ctx(t), name, nil)
	refused(t, err, 409, "Conflict", "ObjectIsBeingDeleted")
	_, err = client.GetDeletedSecret(ctx(t), name, nil)
	refused(t, err, 404, "SecretNotFound", "")
}

func TestNoRightAndAFirewallAreTwoKindsOfForbidden(t *testing.T) {
	client, name := newClient(t), newName(t)
	fault(t, "SecretGet", 1, `{"kind": "forbiddenByRbac"}`)
	_, err := client.GetSecret(ctx(t), name, "", nil)
	refused(t, err, 403, "Forbidden", "ForbiddenByRbac")
	fault(t, "SecretSet", 1, `{"kind": "forbiddenByFirewall"}`)
	_, err = client.SetSecret(ctx(t), name, parameters("v"), nil)
	refused(t, err, 403, "Forbidden", "ForbiddenByFirewall")
}

func TestWhatKeyVaultDoesNotTakeIsRefused(t *testing.T) {
	client, name := newClient(t), newName(t)
	for _, bad := range []string{"under_score", "ümlaut", strings.Repeat("a", 128)} {
		_, err := client.SetSecret(ctx(t), bad, parameters("v"), nil)
		refused(t, err, 400, "BadParameter", "")
	}
	set(t, client, name, strings.Repeat("v", 25_600))
	_, err := client.SetSecret(ctx(t), name, parameters(strings.Repeat("v", 25_601)), nil)
	refused(t, err, 400, "BadParameter", "")
	_, err = client.SetSecret(ctx(t), name, azsecrets.SetSecretParameters{}, nil)
	refused(t, err, 400, "BadParameter", "")
	many := map[string]*string{}
	for letter := 'a'; letter < 'a'+16; letter++ {
		many[string(letter)] = to("")
	}
	_, err = client.UpdateSecretProperties(ctx(t), name, "", azsecrets.UpdateSecretPropertiesParameters{Tags: many}, nil)
	refused(t, err, 400, "BadParameter", "")
}

func TestAnUnknownAPIVersionIsRefused(t *testing.T) {
	credential, err := azidentity.NewDefaultAzureCredential(nil)
	must(t, err)
	options := azsecrets.ClientOptions{}
	options.APIVersion = "7.99"
	_, err = clientWith(t, credential, &options).GetSecret(ctx(t), newName(t), "", nil)
	refused(t, err, 400, "BadParameter", "")
}

func TestTheSDKWaitsAsLongAsAThrottlingVaultAsks(t *testing.T) {
	client, name := newClient(t), newName(t)
	set(t, client, name, "v")
	fault(t, "SecretGet", 1, `{"kind": "status", "status": 429, "reason": "Throttled", "retryAfterSeconds": 2}`)
	begun := time.Now()
	get(t, client, name, "")
	// On its own it would wait 1.04 s at most.
	if waited := time.Since(begun); waited < 2*time.Second || waited > 6*time.Second {
		t.Fatalf("waited %v, not about 2 s", waited)
	}
}

func TestAVaultThatAlwaysThrottlesIsGivenUp(t *testing.T) {
	credential, err := azidentity.NewDefaultAzureCredential(nil)
	must(t, err)
	options := azsecrets.ClientOptions{}
	options.Retry = policy.RetryOptions{MaxRetries: 1, RetryDelay: time.Millisecond}
	settings(t, `{"throttle": {"perSecond": 0.001, "burst": 0}}`)
	_, err = clientWith(t, credential, &options).GetSecret(ctx(t), newName(t), "", nil)
	refused(t, err, 429, "Throttled", "")
}

func TestTheSDKTriesAgainWhereTheVaultFails(t *testing.T) {
	client, name := newClient(t), newName(t)
	fault(t, "SecretSet", 1, `{"kind": "status", "status": 503, "reason": "ServiceUnavailable"}`)
	set(t, client, name, "v")
	fault(t, "SecretGet", 1, `{"kind": "status", "status": 500, "reason": "InternalServerError"}`)
	equal(t, "value", *get(t, client, name, "").Value, "v")
	fault(t, "SecretGet", 1, `{"kind": "resetMidBody"}`)
	equal(t, "value", *get(t, client, name, "").Value, "v")
}
