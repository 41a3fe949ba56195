// The Kubernetes API server of the test control plane.
package main

import (
	"os"

	"k8s.io/component-base/cli"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"

	"secret-service/control-plane/leash"
)

func main() {
	leash.Hold()
	os.Exit(cli.Run(app.NewAPIServerCommand()))
}
