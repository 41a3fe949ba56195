// The store of the test control plane.
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"

	"secret-service/control-plane/leash"
)

func main() {
	leash.Hold()
	etcdmain.Main(os.Args)
}
