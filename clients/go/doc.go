// Package secrets is the Go client of the Secret Service, which manages the secrets of an Azure IoT Operations instance: it
// takes them from the instance's Azure Key Vault and keeps them at the edge as Kubernetes Secrets.
//
//	client, err := secrets.New(ctx, os.Getenv("SECRET_SERVICE_ADDRESS"), secrets.WithInsecure())
//	if err != nil {
//		log.Fatal(err)
//	}
//	defer client.Close()
//
//	// Create new: one call stores both values in the vault and syncs them to the edge.
//	boiler, err := client.Create(ctx, secrets.CreateRequest{ID: "boiler-2", Wait: 10 * time.Second, References: []secrets.Reference{
//		secrets.CreateNew("username", "vaultSecrets/boiler-2-username", secrets.NewValue("opc-reader")),
//		secrets.CreateNew("password", "vaultSecrets/boiler-2-password", secrets.NewValue("correct horse")),
//	}})
//	if err != nil {
//		log.Fatal(err)
//	}
//	fmt.Println(boiler.GetName(), boiler.GetState())
//
// The examples below run as tests against `secret-service dev`, which needs neither Azure nor a cluster.
//
// # Connecting
//
// [New] speaks TLS unless it is told otherwise, and plaintext only to this machine: see [WithTLS], [WithMTLS] and
// [WithTokenFile].
//
// # Errors
//
// Every error of a call holds an [*Error]: its code, the service's reason, every field that is wrong, and when to try again.
// [errors.Is] compares with [ErrNotFound] and its like, with a [Reason], and with the errors of package context.
//
// # Retries
//
// What could not be reached is tried again for some seconds, or until the context ends. That is safe for changes too: each
// has a request_id, with which the service carries it out once, whatever happens to the connection or to the service.
//
// # Values
//
// A [Value] never shows itself in logs, errors or encodings. No call returns one.
package secrets
