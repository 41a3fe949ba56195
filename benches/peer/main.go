// Runs External Secrets Operator as its own release does, so that `make bench-peer` can measure it beside Secret Service.
package main

import "github.com/external-secrets/external-secrets/cmd/controller"

func main() {
	controller.Execute()
}
