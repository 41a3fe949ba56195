package secrets_test

import (
	"errors"
	"testing"

	secrets "github.com/iotoperations/secret-service/clients/go"
)

func TestAChangeOfWhatWasReadOverwritesNoNewerState(t *testing.T) {
	client, ctx := serve(t).client(t), bounded(t)
	read, err := client.Create(ctx, secrets.CreateRequest{
		ID: "a", References: []secrets.Reference{secrets.AddExisting("k", "vaultSecrets/historian-token")},
	})
	if err != nil {
		t.Fatal(err)
	}
	theirs := secrets.UpdateOf(read)
	theirs.Description = new("somebody else's")
	newer, err := client.Update(ctx, theirs)
	if err != nil {
		t.Fatal(err)
	}
	ours := secrets.UpdateOf(read)
	ours.Description = new("ours")
	if _, err := client.Update(ctx, ours); !errors.Is(err, secrets.ErrAborted) || !errors.Is(err, secrets.ReasonChangedMeanwhile) {
		t.Errorf("updated: %v", err)
	}
	if _, err := client.Delete(ctx, secrets.DeleteOf(read)); !errors.Is(err, secrets.ReasonChangedMeanwhile) {
		t.Errorf("deleted: %v", err)
	}
	if found, err := client.Get(ctx, "syncedSecrets/a"); err != nil || found.GetDescription() != "somebody else's" {
		t.Error(found, err)
	}
	if _, err := client.Delete(ctx, secrets.DeleteOf(newer)); err != nil {
		t.Error(err)
	}
}
