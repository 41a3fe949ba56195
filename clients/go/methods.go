package secrets

import (
	"context"
	"slices"
	"time"

	pb "github.com/iotoperations/secret-service/clients/go/gen/iotoperations/secrets/v1"
)

// Create records a synced secret and syncs it to the edge; references with Create are first stored in the vault. A value
// in the vault is never overwritten: ErrAlreadyExists.
func (c *Client) Create(ctx context.Context, request CreateRequest) (*pb.SyncedSecret, error) {
	return c.stub.CreateSyncedSecret(ctx, request.proto())
}

// Get is a synced secret ("syncedSecrets/pump-7") with what uses it.
func (c *Client) Get(ctx context.Context, name string) (*pb.SyncedSecret, error) {
	return c.stub.GetSyncedSecret(ctx, &pb.GetSyncedSecretRequest{Name: name})
}

// Update changes what the request names.
func (c *Client) Update(ctx context.Context, request UpdateRequest) (*pb.SyncedSecret, error) {
	return c.stub.UpdateSyncedSecret(ctx, request.proto())
}

// Delete removes a synced secret from the edge, never from the vault. While something uses it, the error is an *InUseError.
func (c *Client) Delete(ctx context.Context, request DeleteRequest) (*pb.SyncedSecret, error) {
	return c.stub.DeleteSyncedSecret(ctx, request.proto())
}

// Sync syncs all references of a synced secret now, and waits at most as long as wait says for the result.
func (c *Client) Sync(ctx context.Context, name string, wait time.Duration) (*pb.SyncedSecret, error) {
	return c.stub.SyncSyncedSecret(ctx, &pb.SyncSyncedSecretRequest{Name: name, Wait: duration(wait)})
}

// Adopt takes over a Kubernetes Secret or SecretSync that another tool made. It does not wait for the edge: [Client.WaitSynced]
// does.
func (c *Client) Adopt(ctx context.Context, request AdoptRequest) (*pb.SyncedSecret, error) {
	return c.stub.AdoptSyncedSecret(ctx, &pb.AdoptSyncedSecretRequest{
		Name:         request.Name,
		References:   references(request.References),
		ValidateOnly: request.ValidateOnly,
		RequestId:    request.RequestID,
	})
}

// CheckResource is what the resources of a manifest, YAML or JSON, need from secrets, before they are applied. Where [CanWork]
// says no of one, a secret or key is missing, expired, or not usable otherwise.
func (c *Client) CheckResource(ctx context.Context, manifest string) ([]*pb.CheckedResource, error) {
	answer, err := c.stub.CheckResource(ctx, &pb.CheckResourceRequest{Manifest: manifest})
	return answer.GetResources(), err
}

// CanWork says whether no problem is known that keeps a checked resource from working.
func CanWork(resource *pb.CheckedResource) bool {
	problems := resource.GetProblems()
	for _, checked := range resource.GetUsages() {
		problems = append(problems[:len(problems):len(problems)], checked.GetProblem())
	}
	return !slices.ContainsFunc(problems, func(problem *pb.Condition) bool {
		return problem.GetStatus() == pb.Condition_STATUS_FALSE
	})
}

// Vault is the Key Vault of this instance, and what a check of access to it found that is at most some seconds old.
func (c *Client) Vault(ctx context.Context) (*pb.Vault, error) {
	return c.stub.GetVault(ctx, &pb.GetVaultRequest{Name: "vault"})
}

// GetVaultSecret is a secret in the vault ("vaultSecrets/pump-7-password"), without its value.
func (c *Client) GetVaultSecret(ctx context.Context, name string) (*pb.VaultSecret, error) {
	return c.stub.GetVaultSecret(ctx, &pb.GetVaultSecretRequest{Name: name})
}

// CreateVaultSecret stores a secret in the vault without syncing it.
func (c *Client) CreateVaultSecret(ctx context.Context, request CreateVaultSecretRequest) (*pb.VaultSecret, error) {
	return c.stub.CreateVaultSecret(ctx, &pb.CreateVaultSecretRequest{
		VaultSecretId: request.ID,
		Secret:        request.Secret.proto(),
		RequestId:     request.RequestID,
		ValidateOnly:  request.ValidateOnly,
	})
}

// AddVaultSecretVersion gives a secret in the vault a new value; what follows its latest version is synced again. The new
// version keeps content type and tags of the one before where the request has none, and with KeepDates its times.
func (c *Client) AddVaultSecretVersion(ctx context.Context, request AddVaultSecretVersionRequest) (*pb.VaultSecretVersion, error) {
	return c.stub.AddVaultSecretVersion(ctx, &pb.AddVaultSecretVersionRequest{
		Parent:    request.Parent,
		Secret:    request.Secret.proto(),
		RequestId: request.RequestID,
		KeepDates: request.KeepDates,
	})
}

// UpdateVaultSecret changes attributes of a version of a secret in the vault; the value stays.
func (c *Client) UpdateVaultSecret(ctx context.Context, request UpdateVaultSecretRequest) (*pb.VaultSecretVersion, error) {
	return c.stub.UpdateVaultSecret(ctx, request.proto())
}

// RecoverVaultSecret brings a deleted secret back with all its versions, and returns when it is there.
func (c *Client) RecoverVaultSecret(ctx context.Context, request RecoverVaultSecretRequest) (*pb.VaultSecret, error) {
	return c.stub.RecoverVaultSecret(ctx, &pb.RecoverVaultSecretRequest{
		Name:         request.Name,
		RequestId:    request.RequestID,
		ValidateOnly: request.ValidateOnly,
	})
}

// Caller is who calls and which methods they may call, for every name or for one resource ("syncedSecrets/pump-7"), and what is
// missing for the others. It is advice: each call is authorized again.
func (c *Client) Caller(ctx context.Context, resource string) (*pb.Caller, error) {
	return c.stub.GetCaller(ctx, &pb.GetCallerRequest{Name: "caller", Resource: resource})
}
