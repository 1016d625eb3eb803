//go:build ignore

// Gen writes the reference page of the metrics to the file that it is given.
package main

import (
	"bytes"
	"log"
	"os"

	"github.com/flowshunt/flowshunt/pkg/metrics"
)

func main() {
	var page bytes.Buffer
	if err := metrics.Reference(&page); err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(os.Args[1], page.Bytes(), 0o644); err != nil {
		log.Fatal(err)
	}
}
