package serve

import (
	"context"
	"fmt"

	"github.com/flowshunt/flowshunt/ovsdb/client"
)

// place is where a database is converted: in a server, or in a file.
type place struct {
	version func(ctx context.Context) (version, error)
	convert func(ctx context.Context, schema string) error
}

// served is a database that the servers at remotes have.
func served(remotes, name string, files client.TLS) place {
	return place{
		version: func(ctx context.Context) (version, error) {
			db, err := client.Dial(ctx, client.Config{Remotes: remotes, Database: name, TLS: files})
			if err != nil {
				return version{}, err
			}
			defer db.Close()
			schema, err := db.Schema(ctx)
			if err != nil {
				return version{}, err
			}
			_, v, err := nameAndVersion(schema)
			return v, err
		},
		convert: func(ctx context.Context, schema string) error {
			args := []string{"convert", remotes, schema}
			for option, value := range map[string]string{"private-key": files.PrivateKey, "certificate": files.Certificate, "ca-cert": files.CACert} {
				if value != "" {
					args = append(args, "--"+option+"="+value)
				}
			}
			_, err := tool(ctx, "ovsdb-client", args...)
			return err
		},
	}
}

// inFile is a database that no server has.
func inFile(path string) place {
	return place{
		version: func(ctx context.Context) (version, error) {
			text, err := tool(ctx, "ovsdb-tool", "db-version", path)
			if err != nil {
				return version{}, err
			}
			return parseVersion(text)
		},
		convert: func(ctx context.Context, schema string) error {
			if err := rehearse(ctx, path, schema); err != nil {
				return err
			}
			return keepOwner(path, func() error {
				_, err := tool(ctx, "ovsdb-tool", "convert", path, schema)
				return err
			})
		},
	}
}

// upgrade converts a database that has an older schema, or with force one that has a newer one.
func (p place) upgrade(ctx context.Context, schema []byte, force bool, state *State) error {
	_, want, err := nameAndVersion(schema)
	if err != nil {
		return err
	}
	have, err := p.version(ctx)
	if err != nil {
		return err
	}
	state.Had, state.Has = have.String(), have.String()
	order := have.compare(want)
	if state.Newer = order > 0; order == 0 || state.Newer && !force {
		return nil
	}
	err = withSchema(schema, func(path string) error { return p.convert(ctx, path) })
	if err != nil {
		return fmt.Errorf("convert from version %s of the schema to %s: %w", have, want, err)
	}
	state.Has, state.Newer = want.String(), false
	return nil
}
