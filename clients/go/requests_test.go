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

func TestSingleReferencesAreSetAndRemovedAndAllOthersStay(t *testing.T) {
	client, ctx := serve(t).client(t), bounded(t)
	const token = "vaultSecrets/historian-token"
	_, err := client.Create(ctx, secrets.CreateRequest{
		ID: "a", References: []secrets.Reference{secrets.AddExisting("a", token), secrets.AddExisting("b", token)},
	})
	if err != nil {
		t.Fatal(err)
	}
	changed, err := client.Update(ctx, secrets.UpdateRequest{
		Name:          "syncedSecrets/a",
		SetReferences: []secrets.Reference{secrets.AddExisting("b", "vaultSecrets/pump-7-username"), secrets.AddExisting("c", token)},
		RemoveKeys:    []string{"a"},
		Description:   new("one call"),
	})
	if err != nil {
		t.Fatal(err)
	}
	held := changed.GetReferences()
	if len(held) != 2 || held[0].GetVaultSecret() != "vaultSecrets/pump-7-username" || held[1].GetKey() != "c" {
		t.Error(held)
	}
	if changed.GetDescription() != "one call" {
		t.Error(changed.GetDescription())
	}
	_, err = client.Update(ctx, secrets.UpdateRequest{Name: "syncedSecrets/a", RemoveKeys: []string{"a"}})
	if !errors.Is(err, secrets.ErrNotFound) {
		t.Errorf("removed: %v", err)
	}
}
