// The controllers of the test control plane: what ends a namespace, collects garbage and makes the default service accounts.
package main

import (
	"os"

	"k8s.io/component-base/cli"
	"k8s.io/kubernetes/cmd/kube-controller-manager/app"

	"secret-service/control-plane/leash"
)

func main() {
	leash.Hold()
	os.Exit(cli.Run(app.NewControllerManagerCommand()))
}
