package secrets_test

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/timestamppb"

	secrets "github.com/iotoperations/secret-service/clients/go"
	pb "github.com/iotoperations/secret-service/clients/go/gen/iotoperations/secrets/v1"
)

// throughLayer makes the call of this package that a request in JSON stands for.
func throughLayer(ctx context.Context, client *secrets.Client, call string, text []byte) (proto.Message, error) {
	method, err := descriptor(call)
	if err != nil {
		return nil, err
	}
	kind, err := protoregistry.GlobalTypes.FindMessageByName(method.Input().FullName())
	if err != nil {
		return nil, err
	}
	request := kind.New().Interface()
	if err := protojson.Unmarshal(text, request); err != nil {
		return nil, err
	}
	switch r := request.(type) {
	case *pb.GetVaultRequest:
		return client.Vault(ctx)
	case *pb.GetCallerRequest:
		return client.Caller(ctx, r.GetResource())
	case *pb.GetVaultSecretRequest:
		return client.GetVaultSecret(ctx, r.GetName())
	case *pb.CreateVaultSecretRequest:
		return client.CreateVaultSecret(ctx, secrets.CreateVaultSecretRequest{
			ID: r.GetVaultSecretId(), Secret: *newSecret(r.GetSecret()), ValidateOnly: r.GetValidateOnly(), RequestID: r.GetRequestId(),
		})
	case *pb.AddVaultSecretVersionRequest:
		return client.AddVaultSecretVersion(ctx, secrets.AddVaultSecretVersionRequest{
			Parent: r.GetParent(), Secret: *newSecret(r.GetSecret()), KeepDates: r.GetKeepDates(), RequestID: r.GetRequestId(),
		})
	case *pb.UpdateVaultSecretRequest:
		return client.UpdateVaultSecret(ctx, updateOfVault(r))
	case *pb.RecoverVaultSecretRequest:
		return client.RecoverVaultSecret(ctx, secrets.RecoverVaultSecretRequest{
			Name: r.GetName(), ValidateOnly: r.GetValidateOnly(), RequestID: r.GetRequestId(),
		})
	case *pb.CreateSyncedSecretRequest:
		s := r.GetSyncedSecret()
		return client.Create(ctx, secrets.CreateRequest{
			ID: r.GetSyncedSecretId(), References: references(s.GetReferences()), Description: s.GetDescription(), SecretType: s.GetSecretType(),
			Labels: s.GetLabels(), Wait: r.GetWait().AsDuration(), ValidateOnly: r.GetValidateOnly(), RequestID: r.GetRequestId(),
			Purpose: r.GetPurpose(),
		})
	case *pb.GetSyncedSecretRequest:
		return client.Get(ctx, r.GetName())
	case *pb.UpdateSyncedSecretRequest:
		return client.Update(ctx, updateOf(r))
	case *pb.DeleteSyncedSecretRequest:
		return client.Delete(ctx, secrets.DeleteRequest{
			Name: r.GetName(), Etag: r.GetEtag(), Force: r.GetForce(), AllowMissing: r.GetAllowMissing(),
			Wait: r.GetWait().AsDuration(), ValidateOnly: r.GetValidateOnly(), RequestID: r.GetRequestId(),
		})
	case *pb.CheckResourceRequest:
		resources, err := client.CheckResource(ctx, r.GetManifest())
		return &pb.CheckResourceResponse{Resources: resources}, err
	case *pb.SyncSyncedSecretRequest:
		return client.Sync(ctx, r.GetName(), r.GetWait().AsDuration())
	}
	return pageThroughLayer(ctx, client, request)
}

// pageThroughLayer gets a page, which must begin with what the iterator begins with.
func pageThroughLayer(ctx context.Context, client *secrets.Client, request proto.Message) (proto.Message, error) {
	stub := client.Stub()
	switch r := request.(type) {
	case *pb.ListSyncedSecretsRequest:
		page, err := stub.ListSyncedSecrets(ctx, r)
		return sameFirst(page, err, page.GetSyncedSecrets(), client.List(ctx, r))
	case *pb.ListVaultSecretsRequest:
		page, err := stub.ListVaultSecrets(ctx, r)
		return sameFirst(page, err, page.GetVaultSecrets(), client.ListVaultSecrets(ctx, r))
	case *pb.ListVaultSecretVersionsRequest:
		page, err := stub.ListVaultSecretVersions(ctx, r)
		return sameFirst(page, err, page.GetVersions(), client.ListVaultSecretVersions(ctx, r.GetParent()))
	case *pb.ListSecretUsagesRequest:
		page, err := stub.ListSecretUsages(ctx, r)
		return sameFirst(page, err, page.GetUsages(), client.Usages(ctx, r.GetParent()))
	case *pb.ListSecretPurposesRequest:
		page, err := stub.ListSecretPurposes(ctx, r)
		return sameFirst(page, err, page.GetPurposes(), client.ListSecretPurposes(ctx, r))
	case *pb.ListAuditEventsRequest:
		page, err := stub.ListAuditEvents(ctx, r)
		return sameFirst(page, err, page.GetAuditEvents(), client.Audit(ctx, r))
	}
	return nil, fmt.Errorf("the scenario calls for what this test has no call for: %T", request)
}

func sameFirst[Item proto.Message](page proto.Message, failed error, items []Item, all func(func(Item, error) bool)) (proto.Message, error) {
	for item, err := range all {
		if failed != nil && err != nil {
			return nil, err
		}
		if failed != nil || err != nil || len(items) == 0 || !proto.Equal(item, items[0]) {
			return nil, fmt.Errorf("the iterator begins with %v, %w; the page with %v, %w", item, err, items, failed)
		}
		return page, nil
	}
	if failed != nil || len(items) > 0 {
		return nil, fmt.Errorf("the iterator has nothing; the page %v, %w", items, failed)
	}
	return page, nil
}

func updateOf(r *pb.UpdateSyncedSecretRequest) secrets.UpdateRequest {
	s := r.GetSyncedSecret()
	update := secrets.UpdateRequest{
		Name: s.GetName(), Etag: s.GetEtag(), Wait: r.GetWait().AsDuration(), ValidateOnly: r.GetValidateOnly(), RequestID: r.GetRequestId(),
		SetReferences: references(r.GetSetReferences()), RemoveKeys: r.GetRemoveKeys(),
	}
	for _, path := range r.GetUpdateMask().GetPaths() {
		switch path {
		case "references":
			update.References = references(s.GetReferences())
		case "description":
			update.Description = new(s.GetDescription())
		case "labels":
			update.Labels = s.GetLabels()
		}
	}
	return update
}

func references(sent []*pb.SecretReference) []secrets.Reference {
	all := []secrets.Reference{}
	for _, r := range sent {
		all = append(all, secrets.Reference{
			Key: r.GetKey(), VaultSecret: r.GetVaultSecret(), Version: r.GetVersion(), Encoding: r.GetEncoding(), Part: r.GetPart(),
			Create: newSecret(r.GetCreate()),
		})
	}
	return all
}

func newSecret(s *pb.NewVaultSecret) *secrets.NewSecret {
	if s == nil {
		return nil
	}
	at := func(t *timestamppb.Timestamp) time.Time {
		if t == nil {
			return time.Time{}
		}
		return t.AsTime()
	}
	return &secrets.NewSecret{
		Value: secrets.NewValue(s.GetValue()), ContentType: s.GetContentType(), Tags: s.GetTags(),
		NotBefore: at(s.GetNotBeforeTime()), Expire: at(s.GetExpireTime()), Data: s.GetData(), Encoding: s.GetEncoding(),
	}
}

// updateOfVault has what the mask names.
func updateOfVault(r *pb.UpdateVaultSecretRequest) secrets.UpdateVaultSecretRequest {
	secret := r.GetVaultSecret()
	update := secrets.UpdateVaultSecretRequest{
		Name: secret.GetName(), Version: r.GetVersion(), ValidateOnly: r.GetValidateOnly(), RequestID: r.GetRequestId(),
	}
	for _, path := range r.GetUpdateMask().GetPaths() {
		switch path {
		case "enabled":
			enabled := secret.GetEnabled()
			update.Enabled = &enabled
		case "content_type":
			contentType := secret.GetContentType()
			update.ContentType = &contentType
		case "not_before_time":
			update.NotBefore = secret.GetNotBeforeTime().AsTime()
		case "expire_time":
			update.Expire = secret.GetExpireTime().AsTime()
		case "tags":
			update.Tags = secret.GetTags()
		}
	}
	return update
}
