package client

import "fmt"

// serverDatabase is the database in which a server tells about itself (ovsdb-server(5),
// since Open vSwitch 2.9).
const serverDatabase = "_Server"

// serverRow is what is read of its table Database.
type serverRow struct {
	Name      string `ovsdb:"name"`
	Model     string `ovsdb:"model"`     // "standalone", "clustered", "relay"
	Connected bool   `ovsdb:"connected"` // always, where it is standalone
}

// check returns an error for a server that is cut off from its cluster.
func (r *serverRow) check() error {
	if !r.Connected {
		return fmt.Errorf("%w (its model is %.32q)", ErrDetached, r.Model)
	}
	return nil
}

func serverTables(database string) []Table {
	return []Table{{Name: "Database", Row: (*serverRow)(nil), Where: []Condition{{"name", "==", database}},
		NeededColumns: []string{"name", "connected"}}}
}

// serverRow returns what the server says of our database.
func (s *session) serverRow() *serverRow {
	for _, row := range s.server.tables[0].rows {
		if row := row.(*serverRow); row.Name == s.client.cfg.Database {
			return row
		}
	}
	return nil
}

// checkServer returns why the server is to be left, if it is.
func (s *session) checkServer() error {
	row := s.serverRow()
	if row == nil {
		return fmt.Errorf("%w %s", ErrNoDatabase, s.client.cfg.Database)
	}
	return row.check()
}
