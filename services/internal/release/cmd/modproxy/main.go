// Command modproxy writes the modules of this tree as a module proxy on disk: modproxy DIR.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/headwayhq/headway/services/internal/release"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: modproxy DIR")
		os.Exit(2)
	}
	if err := release.Proxy(context.Background(), ".", os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "modproxy:", err)
		os.Exit(1)
	}
}
