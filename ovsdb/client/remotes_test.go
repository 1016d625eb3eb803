package client

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/ovsdb/ovsdbtest"
)

func list(endpoints ...string) string { return strings.Join(endpoints, ",") }

// at waits for a connection to that server.
func at(c *Client, endpoint string) func(*recorder) bool {
	return func(r *recorder) bool { return r.sync && c.State().Endpoint.String() == endpoint }
}

// A lost server is left for the next one, round and round.
func TestNextRemote(t *testing.T) {
	a, b := ovsdbtest.Start(t, ovsdbtest.OpenVSwitch), ovsdbtest.Start(t, ovsdbtest.OpenVSwitch)
	a.VSCtl("init", "--", "add-br", "at-a")
	b.VSCtl("init", "--", "add-br", "at-b")
	c, r := run(t, bridges(list(a.Endpoint(), "unix:"+a.Dir+"/nothing", b.Endpoint())))
	r.await("the first", at(c, a.Endpoint()))
	for range 3 {
		a.Kill()
		r.await("the other one", at(c, b.Endpoint()))
		r.await("its content", func(r *recorder) bool { return r.bridge("at-b") != nil && r.bridge("at-a") == nil })
		a.Start()
		b.Kill()
		r.await("the first one again", at(c, a.Endpoint()))
		b.Start()
	}
}

// A remote that accepts and says nothing, and one that does not even accept, take their time
// and no more.
func TestSilentRemotesAreLeft(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	s := ovsdbtest.Start(t, ovsdbtest.OpenVSwitch)
	a := ovsdbtest.NewAuthority(t)
	cert, key := a.Issue("client", nil)
	cfg := ssl(list("ssl:"+l.Addr().String(), "tcp:"+l.Addr().String(), s.Endpoint()), TLS{key, cert, a.File})
	cfg.Inactivity = 300 * time.Millisecond
	begin := time.Now()
	c, r := run(t, cfg)
	r.await("the server", at(c, s.Endpoint()))
	r.await("that they have stalled", failed(ErrStalled))
	if took := time.Since(begin); took < 2*cfg.Inactivity {
		t.Errorf("after %v, which is too early", took)
	}
}

// Clients spread over the remotes.
func TestFirstRemoteIsRandom(t *testing.T) {
	first := map[string]bool{}
	for range 200 {
		cfg := bridges("unix:/a,unix:/b,unix:/c")
		cfg.InOrder = false
		c, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		first[c.remotes[0].String()] = true
	}
	if len(first) != 3 {
		t.Errorf("first were %v only", first)
	}
}

// cluster starts a cluster of three.
func cluster(t *testing.T) *ovsdbtest.Cluster {
	t.Helper()
	return ovsdbtest.NewCluster(t, ovsdbtest.OpenVSwitch, "Open_vSwitch", 3, nil)
}

// A member that lost its cluster is left, although it still answers, and one that never
// joined is not taken.
func TestDetachedMemberIsLeft(t *testing.T) {
	all := cluster(t)
	m := all.Members
	m[0].VSCtl("init", "--", "add-br", "br0")
	c, r := run(t, bridges(list(m[2].Endpoint(), m[1].Endpoint())))
	r.await("br0", hasBridge("br0"))
	cut, other := m[2], m[1]
	if c.State().Endpoint.String() == m[1].Endpoint() { // a busy machine: it was late
		cut, other = m[1], m[2]
	}

	all.Cut(cut)
	r.await("the loss", failed(ErrDetached))
	r.await("another member", at(c, other.Endpoint()))
	addBridge(m[0], "br1")
	r.await("what the cluster has now", hasBridge("br1"))

	// It answers, with what it had.
	_, alone := run(t, bridges(cut.Endpoint()))
	alone.await("the refusal", failed(ErrDetached))
	if out := cut.Run("ovsdb-client", "--timeout=5", "dump", cut.Endpoint(), "Bridge", "name"); !strings.Contains(out, "br0") || strings.Contains(out, "br1") {
		t.Errorf("the detached member does not serve what is old: %s", out)
	}
	alone.await("no content", func(r *recorder) bool { return r.rows == nil })
}

// addBridge adds a bridge through any member of a cluster.
func addBridge(s *ovsdbtest.Server, name string) {
	s.Transact("Open_vSwitch", `{"op":"insert","table":"Bridge","uuid-name":"b","row":{"name":"`+name+`"}},
		{"op":"mutate","table":"Open_vSwitch","where":[],"mutations":[["bridges","insert",["named-uuid","b"]]]}`)
}

// While members come and go the client is at one that is up to date.
func TestClusterGoesOn(t *testing.T) {
	all := cluster(t)
	m := all.Members
	m[0].VSCtl("init")
	_, r := run(t, bridges(list(m[0].Endpoint(), m[1].Endpoint(), m[2].Endpoint())))
	r.await("a member", synced)
	for i := range 6 {
		dead, alive := m[i%3], m[(i+1)%3]
		dead.Kill()
		all.Joined(alive)
		name := fmt.Sprint("br", i)
		addBridge(alive, name)
		r.await(name, hasBridge(name))
		dead.Start()
		all.Joined(dead)
	}
	r.await("all of them", func(r *recorder) bool { return len(r.rows["Bridge"]) == 6 })
}

func TestLogPosition(t *testing.T) {
	var p logPosition
	for i, step := range []struct {
		answer string
		want   error
	}{
		{`[{"rows":[{"cid":["set",[]],"index":["set",[]]}]}]`, nil}, // standalone
		{`[{"rows":[{"cid":["uuid","c1"],"index":5}]}]`, nil},
		{`[{"rows":[{"cid":["uuid","c1"],"index":5}]}]`, nil},
		{`[{"rows":[{"cid":["uuid","c1"],"index":4}]}]`, ErrStale},
		{`[{"error":"syntax error"}]`, nil}, // of an older server
		{`[null]`, nil},
		{`{}`, ErrProtocol},
		{`[{"rows":[{"cid":5,"index":"x"}]}]`, ErrProtocol},
		{`[{"rows":[{"cid":["uuid","c1"],"index":4}]}]`, ErrStale},
		{`[{"rows":[{"cid":["uuid","c1"],"index":7}]}]`, nil},
		{`[{"rows":[{"cid":["uuid","c2"],"index":1}]}]`, nil}, // a new cluster
		{`[{"rows":[{"cid":["uuid","c2"],"index":0}]}]`, ErrStale},
	} {
		now, err := parsePosition([]byte(step.answer))
		if err == nil {
			err = p.check(now)
		}
		if !errors.Is(err, step.want) {
			t.Errorf("step %d: %v, want %v", i, err, step.want)
		}
	}
}
