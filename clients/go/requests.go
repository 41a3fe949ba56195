package secrets

import (
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/iotoperations/secret-service/clients/go/gen/iotoperations/secrets/v1"
)

// Reference is one key of a Kubernetes Secret, and the vault secret whose value it holds. [CreateNew] and [AddExisting] make
// the usual ones.
type Reference struct {
	Key         string // For example "username".
	VaultSecret string // "vaultSecrets/{name in the vault}".
	Version     string // A pinned version; follows the latest where empty.
	Encoding    pb.SecretReference_Encoding
	Part        pb.SecretReference_Part // Of a certificate; unspecified, the one that it has, or the whole value.
	Create      *NewSecret              // Creates the vault secret first.
}

// NewSecret is what is to be stored in the vault.
type NewSecret struct {
	Value       Value
	ContentType string
	NotBefore   time.Time
	Expire      time.Time
	Tags        map[string]string
	Data        []byte                      // Stored in Encoding, hex where it is unspecified; instead of Value.
	Encoding    pb.SecretReference_Encoding // Of what the vault keeps; sets the tag "file-encoding".
}

// CreateNew is the dialog's "Create new": stores the value in the vault as vaultSecret and syncs it under key.
func CreateNew(key, vaultSecret string, value Value) Reference {
	return Reference{Key: key, VaultSecret: vaultSecret, Create: &NewSecret{Value: value}}
}

// AddExisting is the dialog's "Add from Azure Key Vault": syncs the latest version of vaultSecret under key.
func AddExisting(key, vaultSecret string) Reference {
	return Reference{Key: key, VaultSecret: vaultSecret}
}

// CreateRequest is what [Client.Create] makes.
type CreateRequest struct {
	ID           string // The name of the Kubernetes Secret.
	References   []Reference
	Description  string
	SecretType   string // "Opaque" where empty.
	Labels       map[string]string
	Wait         time.Duration // Return when it is synced or has failed, or after this long; at once where zero.
	ValidateOnly bool
	RequestID    string // A UUID; one is made where it is empty.
	Purpose      string // The id of a purpose, to refuse keys that don't fit it.
}

// UpdateRequest is what [Client.Update] changes: what is nil stays as it is. [UpdateOf] begins one for what was read.
type UpdateRequest struct {
	Name       string
	Etag       string      // Changes only what was read: one that no longer matches is ErrAborted. Any state where empty.
	References []Reference // All of them.
	// SetReferences are added, or replace those with the same keys; RemoveKeys names those to remove. All others stay as they
	// are, whatever they are by then, so nothing is lost of what others change at the same time. Not together with References.
	SetReferences []Reference
	RemoveKeys    []string
	Description   *string
	Labels        map[string]string
	Wait          time.Duration
	ValidateOnly  bool
	RequestID     string
}

// DeleteRequest is what [Client.Delete] removes from the edge. [DeleteOf] begins one for what was read.
type DeleteRequest struct {
	Name         string
	Etag         string // Deletes only what was read: one that no longer matches is ErrAborted. Any state where empty.
	Force        bool   // Although something uses it.
	AllowMissing bool
	Wait         time.Duration
	ValidateOnly bool
	RequestID    string
}

// UpdateOf is the change of a synced secret that was read: where it is another by now, nothing is overwritten, and the error is
// ErrAborted. For any state, name it in an [UpdateRequest] without an etag.
func UpdateOf(read *pb.SyncedSecret) UpdateRequest {
	return UpdateRequest{Name: read.GetName(), Etag: read.GetEtag()}
}

// DeleteOf is the deletion of a synced secret that was read: where it is another by now, it stays, and the error is ErrAborted.
// For any state, name it in a [DeleteRequest] without an etag.
func DeleteOf(read *pb.SyncedSecret) DeleteRequest {
	return DeleteRequest{Name: read.GetName(), Etag: read.GetEtag()}
}

// AdoptRequest is what [Client.Adopt] takes over.
type AdoptRequest struct {
	Name         string
	References   []Reference // Needed where the resource at the edge doesn't say where its keys come from.
	ValidateOnly bool
	RequestID    string
}

// CreateVaultSecretRequest is what [Client.CreateVaultSecret] makes.
type CreateVaultSecretRequest struct {
	ID           string // The name in the vault.
	Secret       NewSecret
	ValidateOnly bool
	RequestID    string
}

// AddVaultSecretVersionRequest is what [Client.AddVaultSecretVersion] adds.
type AddVaultSecretVersionRequest struct {
	Parent    string // "vaultSecrets/{name in the vault}".
	Secret    NewSecret
	KeepDates bool // Keep the times of the version before, except those that Secret has.
	RequestID string
}

// UpdateVaultSecretRequest is what [Client.UpdateVaultSecret] changes: what is nil or zero stays as it is.
type UpdateVaultSecretRequest struct {
	Name         string // "vaultSecrets/{name in the vault}".
	Version      string // The latest where empty.
	Enabled      *bool
	ContentType  *string
	NotBefore    time.Time
	Expire       time.Time
	Tags         map[string]string // All of them; none where it is empty and not nil.
	ValidateOnly bool
	RequestID    string
}

// RecoverVaultSecretRequest is what [Client.RecoverVaultSecret] brings back.
type RecoverVaultSecretRequest struct {
	Name         string // "vaultSecrets/{name in the vault}".
	ValidateOnly bool
	RequestID    string
}

func (r CreateRequest) proto() *pb.CreateSyncedSecretRequest {
	return &pb.CreateSyncedSecretRequest{
		SyncedSecretId: r.ID,
		SyncedSecret: &pb.SyncedSecret{
			Description: r.Description,
			SecretType:  r.SecretType,
			References:  references(r.References),
			Labels:      maps.Clone(r.Labels),
		},
		RequestId:    r.RequestID,
		ValidateOnly: r.ValidateOnly,
		Wait:         duration(r.Wait),
		Purpose:      r.Purpose,
	}
}

func (r UpdateRequest) proto() *pb.UpdateSyncedSecretRequest {
	secret, mask := &pb.SyncedSecret{Name: r.Name, Etag: r.Etag}, &fieldmaskpb.FieldMask{}
	if r.References != nil {
		secret.References = references(r.References)
		mask.Paths = append(mask.Paths, "references")
	}
	if r.Description != nil {
		secret.Description = *r.Description
		mask.Paths = append(mask.Paths, "description")
	}
	if r.Labels != nil {
		secret.Labels = maps.Clone(r.Labels)
		mask.Paths = append(mask.Paths, "labels")
	}
	return &pb.UpdateSyncedSecretRequest{
		SyncedSecret:  secret,
		UpdateMask:    mask,
		RequestId:     r.RequestID,
		ValidateOnly:  r.ValidateOnly,
		Wait:          duration(r.Wait),
		SetReferences: references(r.SetReferences),
		RemoveKeys:    slices.Clone(r.RemoveKeys),
	}
}

func (r DeleteRequest) proto() *pb.DeleteSyncedSecretRequest {
	return &pb.DeleteSyncedSecretRequest{
		Name:         r.Name,
		Etag:         r.Etag,
		Force:        r.Force,
		AllowMissing: r.AllowMissing,
		RequestId:    r.RequestID,
		ValidateOnly: r.ValidateOnly,
		Wait:         duration(r.Wait),
	}
}

func (r UpdateVaultSecretRequest) proto() *pb.UpdateVaultSecretRequest {
	secret, mask := &pb.VaultSecret{Name: r.Name}, &fieldmaskpb.FieldMask{}
	if r.Enabled != nil {
		secret.Enabled = *r.Enabled
		mask.Paths = append(mask.Paths, "enabled")
	}
	if r.ContentType != nil {
		secret.ContentType = *r.ContentType
		mask.Paths = append(mask.Paths, "content_type")
	}
	if !r.NotBefore.IsZero() {
		secret.NotBeforeTime = timestamp(r.NotBefore)
		mask.Paths = append(mask.Paths, "not_before_time")
	}
	if !r.Expire.IsZero() {
		secret.ExpireTime = timestamp(r.Expire)
		mask.Paths = append(mask.Paths, "expire_time")
	}
	if r.Tags != nil {
		secret.Tags = maps.Clone(r.Tags)
		mask.Paths = append(mask.Paths, "tags")
	}
	return &pb.UpdateVaultSecretRequest{
		VaultSecret:  secret,
		UpdateMask:   mask,
		Version:      r.Version,
		RequestId:    r.RequestID,
		ValidateOnly: r.ValidateOnly,
	}
}

func references(all []Reference) []*pb.SecretReference {
	made := make([]*pb.SecretReference, len(all))
	for i, r := range all {
		made[i] = &pb.SecretReference{
			Key: r.Key, VaultSecret: r.VaultSecret, Version: r.Version, Encoding: r.Encoding, Part: r.Part,
		}
		if r.Create != nil {
			made[i].Create = r.Create.proto()
		}
	}
	return made
}

func (s NewSecret) proto() *pb.NewVaultSecret {
	return &pb.NewVaultSecret{
		Value:         s.Value.Reveal(),
		ContentType:   s.ContentType,
		NotBeforeTime: timestamp(s.NotBefore),
		ExpireTime:    timestamp(s.Expire),
		Tags:          maps.Clone(s.Tags),
		Data:          s.Data,
		Encoding:      s.Encoding,
	}
}

// duration is nil for none, so that nothing is asked for.
func duration(d time.Duration) *durationpb.Duration {
	if d == 0 {
		return nil
	}
	return durationpb.New(d)
}

func timestamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}
