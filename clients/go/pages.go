package secrets

import (
	"context"
	"iter"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	pb "github.com/iotoperations/secret-service/clients/go/gen/iotoperations/secrets/v1"
)

// Every list goes on from the page_token of its request, fetches a page when the loop comes to it, and ends with the last
// item or with an error. A nil request means everything.

// List goes through the synced secrets, in the order of their names.
func (c *Client) List(ctx context.Context, request *pb.ListSyncedSecretsRequest) iter.Seq2[*pb.SyncedSecret, error] {
	return items(ctx, request, c.stub.ListSyncedSecrets, (*pb.ListSyncedSecretsResponse).GetSyncedSecrets)
}

// Usages goes through what uses a synced secret ("syncedSecrets/pump-7"), or any of them ("syncedSecrets/-"). Kinds that the
// service can't read now are left out; ListSecretUsagesResponse.unreachable names them.
func (c *Client) Usages(ctx context.Context, parent string) iter.Seq2[*pb.SecretUsage, error] {
	request := &pb.ListSecretUsagesRequest{Parent: parent}
	return items(ctx, request, c.stub.ListSecretUsages, (*pb.ListSecretUsagesResponse).GetUsages)
}

// ListSecretPurposes goes through what a synced secret can be for: the keys that each purpose needs, and the fields that can
// name such a secret.
func (c *Client) ListSecretPurposes(ctx context.Context, request *pb.ListSecretPurposesRequest) iter.Seq2[*pb.SecretPurpose, error] {
	return items(ctx, request, c.stub.ListSecretPurposes, (*pb.ListSecretPurposesResponse).GetPurposes)
}

// ListVaultSecrets goes through the secrets in the vault, without values.
func (c *Client) ListVaultSecrets(ctx context.Context, request *pb.ListVaultSecretsRequest) iter.Seq2[*pb.VaultSecret, error] {
	return items(ctx, request, c.stub.ListVaultSecrets, (*pb.ListVaultSecretsResponse).GetVaultSecrets)
}

// ListVaultSecretVersions goes through the versions of a secret in the vault ("vaultSecrets/pump-7-password").
func (c *Client) ListVaultSecretVersions(ctx context.Context, parent string) iter.Seq2[*pb.VaultSecretVersion, error] {
	request := &pb.ListVaultSecretVersionsRequest{Parent: parent}
	return items(ctx, request, c.stub.ListVaultSecretVersions, (*pb.ListVaultSecretVersionsResponse).GetVersions)
}

// Audit goes through who did what, newest first.
func (c *Client) Audit(ctx context.Context, request *pb.ListAuditEventsRequest) iter.Seq2[*pb.AuditEvent, error] {
	return items(ctx, request, c.stub.ListAuditEvents, (*pb.ListAuditEventsResponse).GetAuditEvents)
}

// items is what read finds on all pages that fetch gets. Each loop over it begins anew, with a request of its own.
func items[Request proto.Message, Page interface{ GetNextPageToken() string }, Item any](
	ctx context.Context,
	request Request,
	fetch func(context.Context, Request, ...grpc.CallOption) (Page, error),
	read func(Page) []Item,
) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		message := request.ProtoReflect().New()
		proto.Merge(message.Interface(), request)
		request := message.Interface().(Request)
		for {
			page, err := fetch(ctx, request)
			if err != nil {
				var none Item
				yield(none, err)
				return
			}
			for _, item := range read(page) {
				if !yield(item, nil) {
					return
				}
			}
			if page.GetNextPageToken() == "" {
				return
			}
			field := message.Descriptor().Fields().ByName("page_token")
			message.Set(field, protoreflect.ValueOfString(page.GetNextPageToken()))
		}
	}
}
