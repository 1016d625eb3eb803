package serve

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// maxText bounds what is told of a tool's complaint.
const maxText = 2048

// tool runs a program of Open vSwitch and returns what it prints.
func tool(ctx context.Context, name string, args ...string) (string, error) {
	var out, complaint bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = &out, &complaint
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return "", fmt.Errorf("%w: is Open vSwitch installed?", err)
	case ctx.Err() != nil:
		return "", context.Cause(ctx)
	case err != nil:
		text := strings.TrimSpace(complaint.String())
		return "", fmt.Errorf("%s %s: %w: %s", name, args[0], err, text[:min(len(text), maxText)])
	}
	return strings.TrimSpace(out.String()), nil
}

// withSchema calls body with a file that has the schema.
func withSchema(schema []byte, body func(path string) error) error {
	dir, err := os.MkdirTemp("", "ovsschema-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "ovsschema")
	if err := os.WriteFile(path, schema, 0o600); err != nil {
		return err
	}
	return body(path)
}
