// Bench calls GetSyncedSecret in a closed loop, through this module's client or through generated code alone, to be compared
// with ghz on the same method: scripts/bench-clients runs them all.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	secrets "github.com/iotoperations/secret-service/clients/go"
	pb "github.com/iotoperations/secret-service/clients/go/gen/iotoperations/secrets/v1"
)

func main() {
	address := flag.String("address", "127.0.0.1:50051", "where the service is")
	name := flag.String("name", "", "the synced secret to get")
	connections := flag.Int("connections", 1, "how many connections")
	concurrency := flag.Int("concurrency", 16, "how many calls at a time, over all connections")
	bare := flag.Bool("bare", false, "call through generated code alone")
	duration := flag.Duration("duration", 5*time.Second, "how long")
	flag.Parse()
	if err := run(*address, *name, *connections, *concurrency, *duration, *bare); err != nil {
		log.Fatal(err)
	}
}

// get is a way to make the call.
type get func(ctx context.Context, name string) (*pb.SyncedSecret, error)

func throughClient(ctx context.Context, address string) (get, func() error, error) {
	client, err := secrets.New(ctx, address, secrets.WithInsecure(), secrets.WithReady())
	if err != nil {
		return nil, nil, err
	}
	return client.Get, client.Close, nil
}

func throughStub(_ context.Context, address string) (get, func() error, error) {
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, nil, err
	}
	stub := pb.NewSecretServiceClient(conn)
	return func(ctx context.Context, name string) (*pb.SyncedSecret, error) {
		return stub.GetSyncedSecret(ctx, &pb.GetSyncedSecretRequest{Name: name})
	}, conn.Close, nil
}

func run(address, name string, connections, concurrency int, duration time.Duration, bare bool) error {
	ctx := context.Background()
	gets := make([]get, connections)
	for i := range gets {
		connect := throughClient
		if bare {
			connect = throughStub
		}
		called, close, err := connect(ctx, address)
		if err != nil {
			return err
		}
		defer close()
		gets[i] = called
	}
	var (
		callers sync.WaitGroup
		took    = make([][]time.Duration, concurrency)
		failed  = make([]error, concurrency)
		begun   = time.Now()
		end     = begun.Add(duration)
	)
	for i := range concurrency {
		callers.Go(func() { took[i], failed[i] = loop(ctx, gets[i%connections], name, end) })
	}
	callers.Wait()
	elapsed := time.Since(begun)
	for _, err := range failed {
		if err != nil {
			return err
		}
	}
	all := slices.Concat(took...)
	slices.Sort(all)
	at := func(share float64) time.Duration { return all[int(share*float64(len(all)-1))].Round(time.Microsecond) }
	fmt.Printf("%.0f calls/s, p50 %v, p99 %v\n", float64(len(all))/elapsed.Seconds(), at(0.5), at(0.99))
	return nil
}

// loop calls until the end, one call after the other, and says how long each took.
func loop(ctx context.Context, get get, name string, end time.Time) ([]time.Duration, error) {
	var took []time.Duration
	for begun := time.Now(); begun.Before(end); {
		if _, err := get(ctx, name); err != nil {
			return nil, err
		}
		now := time.Now()
		took = append(took, now.Sub(begun))
		begun = now
	}
	return took, nil
}
