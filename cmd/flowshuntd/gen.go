//go:build ignore

// Gen writes the reference page of flowshuntd to the file that it is given.
package main

import (
	"bytes"
	"log"
	"os"

	"github.com/flowshunt/flowshunt/cmd/flowshuntd/internal/cli"
)

func main() {
	var page bytes.Buffer
	if err := cli.Reference(&page); err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(os.Args[1], page.Bytes(), 0o644); err != nil {
		log.Fatal(err)
	}
}
