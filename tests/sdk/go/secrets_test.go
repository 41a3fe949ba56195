package sdk

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"
)

func TestASetSecretIsReadWithAllThatWasGiven(t *testing.T) {
	client, name := newClient(t), newName(t)
	starts := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	ends := starts.AddDate(10, 0, 0)
	made, err := client.SetSecret(ctx(t), name, azsecrets.SetSecretParameters{
		Value:            to("wört\n♥"),
		ContentType:      to("text/plain"),
		SecretAttributes: &azsecrets.SecretAttributes{Enabled: to(true), NotBefore: &starts, Expires: &ends},
		Tags:             map[string]*string{"größe": to("♥")},
	}, nil)
	must(t, err)
	got := get(t, client, name, "")
	equal(t, "value", *got.Value, "wört\n♥")
	equal(t, "id", *got.ID, *made.ID)
	equal(t, "id", string(*got.ID), fmt.Sprintf("%s/secrets/%s/%s", vault, name, got.ID.Version()))
	equal(t, "name", got.ID.Name(), name)
	equal(t, "length of the version", len(got.ID.Version()), 32)
	equal(t, "content type", *got.ContentType, "text/plain")
	equal(t, "tags", *got.Tags["größe"], "♥")
	equal(t, "not before", got.Attributes.NotBefore.UTC(), starts)
	equal(t, "expires", got.Attributes.Expires.UTC(), ends)
	equal(t, "recovery level", *got.Attributes.RecoveryLevel, "Recoverable+Purgeable")
	equal(t, "recoverable days", *got.Attributes.RecoverableDays, 90)
	if got.Attributes.Created == nil || got.Attributes.Updated == nil || got.Managed != nil || got.KID != nil {
		t.Fatalf("%+v", got)
	}
}

func TestASecondSetAddsAVersionAndEachIsGotByItsID(t *testing.T) {
	client, name := newClient(t), newName(t)
	first := set(t, client, name, "one").ID.Version()
	second := set(t, client, name, "two").ID.Version()
	equal(t, "the latest", *get(t, client, name, "").Value, "two")
	equal(t, "the first", *get(t, client, name, first).Value, "one")
	versions := map[string]bool{}
	for pager := client.NewListSecretPropertiesVersionsPager(name, nil); pager.More(); {
		page, err := pager.NextPage(ctx(t))
		must(t, err)
		for _, of := range page.Value {
			versions[of.ID.Version()] = true
		}
	}
	if len(versions) != 2 || !versions[first] || !versions[second] {
		t.Fatalf("%v, not %s and %s", versions, first, second)
	}
}

func TestListsComeInPagesToTheirEnd(t *testing.T) {
	client, name := newClient(t), newName(t)
	for number := range 60 {
		set(t, client, fmt.Sprintf("%s-%d", name, number), "v")
	}
	found, pages := map[string]bool{}, 0
	for pager := client.NewListSecretPropertiesPager(nil); pager.More(); pages++ {
		page, err := pager.NextPage(ctx(t))
		must(t, err)
		if pager.More() {
			equal(t, "items of a page", len(page.Value), 25)
		}
		for _, of := range page.Value {
			equal(t, "id", string(*of.ID), fmt.Sprintf("%s/secrets/%s", vault, of.ID.Name()))
			found[of.ID.Name()] = true
		}
	}
	for number := range 60 {
		if each := fmt.Sprintf("%s-%d", name, number); !found[each] {
			t.Fatalf("%s is not listed", each)
		}
	}
	equal(t, "pages", pages, (len(found)+24)/25)
}

func TestAnUpdateChangesWhatItNamesAndMakesNoVersion(t *testing.T) {
	client, name := newClient(t), newName(t)
	made := set(t, client, name, "v")
	after, err := client.UpdateSecretProperties(ctx(t), name, "", azsecrets.UpdateSecretPropertiesParameters{
		ContentType: to("new"),
		Tags:        map[string]*string{"a": to("1")},
	}, nil)
	must(t, err)
	equal(t, "version", after.ID.Version(), made.ID.Version())
	disable := azsecrets.UpdateSecretPropertiesParameters{SecretAttributes: &azsecrets.SecretAttributes{Enabled: to(false)}}
	after, err = client.UpdateSecretProperties(ctx(t), name, made.ID.Version(), disable, nil)
	must(t, err)
	equal(t, "content type", *after.ContentType, "new")
	equal(t, "tag", *after.Tags["a"], "1")
	equal(t, "enabled", *after.Attributes.Enabled, false)
	_, err = client.GetSecret(ctx(t), name, "", nil)
	refused(t, err, 403, "Forbidden", "SecretDisabled")
}

func TestADeletedSecretIsSeenRecoveredAndPurged(t *testing.T) {
	client, name := newClient(t), newName(t)
	made := set(t, client, name, "v")
	gone := remove(t, client, name)
	equal(t, "recovery id", *gone.RecoveryID, fmt.Sprintf("%s/deletedsecrets/%s", vault, name))
	equal(t, "days", gone.ScheduledPurgeDate.Sub(*gone.DeletedDate), 90*24*time.Hour)
	seen, err := client.GetDeletedSecret(ctx(t), name, nil)
	must(t, err)
	equal(t, "id", *seen.ID, *made.ID)
	equal(t, "times in the list", countDeleted(t, client, name), 1)

	recovered, err := client.RecoverDeletedSecret(ctx(t), name, nil)
	must(t, err)
	equal(t, "id", *recovered.ID, *made.ID)
	equal(t, "value", *get(t, client, name, "").Value, "v")

	remove(t, client, name)
	purge(t, client, name)
	equal(t, "times in the list", countDeleted(t, client, name), 0)
	set(t, client, name, "the name is free")
}

func countDeleted(t *testing.T, client *azsecrets.Client, name string) (times int) {
	t.Helper()
	for pager := client.NewListDeletedSecretPropertiesPager(nil); pager.More(); {
		page, err := pager.NextPage(ctx(t))
		must(t, err)
		for _, of := range page.Value {
			if of.ID.Name() == name {
				times++
			}
		}
	}
	return times
}

func TestABackupRestoresAllVersions(t *testing.T) {
	client, name := newClient(t), newName(t)
	first := set(t, client, name, "one")
	set(t, client, name, "two")
	backup, err := client.BackupSecret(ctx(t), name, nil)
	must(t, err)
	if len(backup.Value) < 100 || bytes.Contains(backup.Value, []byte("one")) {
		t.Fatal("a backup is sealed")
	}
	restore := azsecrets.RestoreSecretParameters{SecretBackup: backup.Value}
	_, err = client.RestoreSecret(ctx(t), restore, nil)
	refused(t, err, 409, "Conflict", "")
	remove(t, client, name)
	purge(t, client, name)
	_, err = client.RestoreSecret(ctx(t), restore, nil)
	must(t, err)
	equal(t, "the latest", *get(t, client, name, "").Value, "two")
	equal(t, "the first", *get(t, client, name, first.ID.Version()).Value, "one")
}
