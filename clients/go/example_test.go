package secrets_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"maps"
	"os"
	"time"

	secrets "github.com/iotoperations/secret-service/clients/go"
)

// The three stories: create new, add from the vault, manage.
func Example() {
	ctx := context.Background()
	client, err := secrets.New(ctx, os.Getenv("SECRET_SERVICE_ADDRESS"), secrets.WithInsecure())
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	// Create new: one call stores both values in the vault and syncs them to the edge.
	boiler, err := client.Create(ctx, secrets.CreateRequest{ID: "boiler-2", Wait: 10 * time.Second, References: []secrets.Reference{
		secrets.CreateNew("username", "vaultSecrets/boiler-2-username", secrets.NewValue("opc-reader")),
		secrets.CreateNew("password", "vaultSecrets/boiler-2-password", secrets.NewValue("correct horse")),
	}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(boiler.GetName(), boiler.GetState())

	// Add from Azure Key Vault: what the vault holds already.
	pump, err := client.Create(ctx, secrets.CreateRequest{ID: "pump-7", References: []secrets.Reference{
		secrets.AddExisting("username", "vaultSecrets/pump-7-username"),
		secrets.AddExisting("password", "vaultSecrets/pump-7-password"),
	}})
	if err != nil {
		log.Fatal(err)
	}
	if pump, err = client.WaitSynced(ctx, pump.GetName()); err != nil {
		log.Fatal(err)
	}

	// Manage: list them, and delete from the edge, never from the vault.
	for secret, err := range client.List(ctx, nil) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(secret.GetName(), "with", len(secret.GetReferences()), "keys")
	}
	if _, err := client.Delete(ctx, secrets.DeleteRequest{Name: pump.GetName(), Wait: 10 * time.Second}); err != nil {
		log.Fatal(err)
	}
	_, err = client.Get(ctx, pump.GetName())
	fmt.Println("gone:", errors.Is(err, secrets.ErrNotFound))
	// Output:
	// syncedSecrets/boiler-2 STATE_SYNCED
	// syncedSecrets/boiler-2 with 2 keys
	// syncedSecrets/pump-7 with 2 keys
	// gone: true
}

// What went wrong, for programs.
func ExampleError() {
	ctx := context.Background()
	client, err := secrets.New(ctx, os.Getenv("SECRET_SERVICE_ADDRESS"), secrets.WithInsecure())
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	_, err = client.Create(ctx, secrets.CreateRequest{ID: "Boiler_3", References: []secrets.Reference{
		secrets.AddExisting("user name", "vaultSecrets/boiler-3-username"),
	}})
	var failed *secrets.Error
	if errors.As(err, &failed) {
		fmt.Println(failed.Code, failed.Reason)
		for _, violation := range failed.Violations {
			fmt.Println(violation.Field)
		}
	}
	// Output:
	// InvalidArgument INVALID_FIELD
	// synced_secret_id
	// synced_secret.references[0].key
}

// A change of what was read, made again where somebody else was first.
func ExampleUpdateOf() {
	ctx := context.Background()
	client, err := secrets.New(ctx, os.Getenv("SECRET_SERVICE_ADDRESS"), secrets.WithInsecure())
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	token := secrets.AddExisting("token", "vaultSecrets/historian-token")
	made, err := client.Create(ctx, secrets.CreateRequest{ID: "historian-2", References: []secrets.Reference{token}})
	if err != nil {
		log.Fatal(err)
	}
	for {
		read, err := client.Get(ctx, made.GetName())
		if err != nil {
			log.Fatal(err)
		}
		change := secrets.UpdateOf(read)
		change.Labels = map[string]string{"line": "4"}
		maps.Copy(change.Labels, read.GetLabels())
		changed, err := client.Update(ctx, change)
		if errors.Is(err, secrets.ReasonChangedMeanwhile) {
			continue
		}
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(changed.GetName(), changed.GetLabels())
		break
	}
	// Output: syncedSecrets/historian-2 map[line:4]
}

// A watch that goes on after every disconnect.
func ExampleClient_Watch() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	client, err := secrets.New(ctx, os.Getenv("SECRET_SERVICE_ADDRESS"), secrets.WithInsecure())
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	known := map[string]bool{}
	for event, err := range client.Watch(ctx, secrets.WatchRequest{}) {
		if err != nil {
			log.Fatal(err)
		}
		switch event.Type {
		case secrets.Added, secrets.Modified:
			known[event.Secret.GetName()] = true
		case secrets.Deleted:
			delete(known, event.Secret.GetName())
		case secrets.Restarted:
			clear(known)
		case secrets.Current:
			fmt.Println("all is told")
			return
		}
	}
	// Output: all is told
}

// A value that no log shows.
func ExampleValue() {
	secret := secrets.NewSecret{Value: secrets.NewValue("correct horse"), ContentType: "text/plain"}
	fmt.Printf("%v %q %#v\n", secret.Value, secret.Value, secret.Value)
	fmt.Println(secret.ContentType, len(secret.Value.Reveal()))
	// Output:
	// [hidden] [hidden] [hidden]
	// text/plain 13
}
