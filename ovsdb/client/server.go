package client

import "fmt"

// serverDatabase is the database in which a server tells about itself (ovsdb-server(5),
// since Open vSwitch 2.9).
const serverDatabase = "_Server"

// serverRow is what is read of its table Database.
type serverRow struct {
	Name      string  `ovsdb:"name"`
	Model     string  `ovsdb:"model"`     // "standalone", "clustered", "relay"
	Connected bool    `ovsdb:"connected"` // always, where it is standalone
	CID       *string `ovsdb:"cid"`       // of the cluster
	Index     *int    `ovsdb:"index"`     // of the last entry of the cluster's log
}

// logPosition is how far a cluster was seen.
type logPosition struct {
	cid   string
	index int
}

func serverTables(database string) []Table {
	return []Table{{Name: "Database", Row: (*serverRow)(nil), Where: []Condition{{"name", "==", database}},
		NeededColumns: []string{"name", "connected"}}}
}

// checkServer returns why the server is to be left, if it is.
func (s *session) checkServer() error {
	database := s.client.cfg.Database
	for _, row := range s.server.tables[0].rows {
		if row := row.(*serverRow); row.Name == database {
			return s.client.seen.check(row)
		}
	}
	return fmt.Errorf("%w %s", ErrNoDatabase, database)
}

// check returns an error for a server that serves what is not up to date. Another cluster
// than before begins anew.
func (p *logPosition) check(row *serverRow) error {
	if !row.Connected {
		return fmt.Errorf("%w (its model is %.32q)", ErrDetached, row.Model)
	}
	if row.CID == nil || row.Index == nil {
		return nil
	}
	now := logPosition{*row.CID, *row.Index}
	if now.cid == p.cid && now.index < p.index {
		return fmt.Errorf("%w: it is at entry %d of the log of cluster %.64s, another one was at %d", ErrStale, now.index, now.cid, p.index)
	}
	*p = now
	return nil
}
