// Package leash ends a process as soon as whoever started it is gone, and takes away what they shared.
package leash

import (
	"io"
	"os"
	"time"
)

// Directory is the environment variable that names the directory of the control plane, removed at the end.
const Directory = "CONTROL_PLANE_DIRECTORY"

// Hold ends this process when standard input reaches its end. The parent holds the other end of that pipe and never writes, so
// the end comes when it is no more, kill -9 included. An orderly shutdown would wait for the others, which are going too.
func Hold() {
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		remove(os.Getenv(Directory))
		os.Exit(0)
	}()
}

// remove tries more than once: this process and the others may still write while the directory goes.
func remove(directory string) {
	if directory == "" {
		return
	}
	for range 20 {
		if os.RemoveAll(directory) == nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}
