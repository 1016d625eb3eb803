package check

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"time"

	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/ovsdb"
	"github.com/flowshunt/flowshunt/pkg/eswitch/flower"
	"github.com/flowshunt/flowshunt/pkg/unixctl"
)

// patience bounds each question to a daemon.
const patience = 3 * time.Second

// errLate is why nobody was asked: others have taken all the time there was.
var errLate = errors.New("no time was left to ask")

// Config says where to look. The zero value is the running machine with the agent's own
// defaults.
type Config struct {
	Root       fs.FS  // the file system, without the leading slash; nil: that of the machine
	OVSDB      string // endpoint; empty: ovsdb.DefaultEndpoint
	OVSRundir  string // empty: unixctl.DefaultRundir
	Socket     string // of the agent; empty: control.DefaultSocket
	Capacity   int    // sessions that an agent is meant to offload; 0: its default
	Preference uint16 // the agent's first tc preference; 0: its default
	Version    string // of this program, as the agent writes its own, to compare the agent's with; empty: not compared
}

// node is a machine with what several checks look at, read once.
type node struct {
	Config
	root     fs.FS
	kernel   kernel
	config   map[string]string // of the kernel; nil: not known
	vswitchd *unixctl.Client
	ovs      string // what ovs-vswitchd says of itself
	silent   error  // why it says nothing; then it is not asked again
	inventory
	nics
	processes []process
	agent     agent
}

// inventory is what the database says.
type inventory struct {
	*ovsdb.Snapshot       // never nil
	err             error // why it was not read
}

func newNode(ctx context.Context, cfg Config) *node {
	if cfg.Root == nil {
		cfg.Root = os.DirFS("/")
	}
	if cfg.OVSDB == "" {
		cfg.OVSDB = ovsdb.DefaultEndpoint
	}
	if cfg.OVSRundir == "" {
		cfg.OVSRundir = unixctl.DefaultRundir
	}
	if cfg.Capacity == 0 {
		cfg.Capacity = engine.DefaultConfig().Capacity
	}
	if cfg.Preference == 0 {
		cfg.Preference = flower.DefaultPreference
	}
	n := &node{Config: cfg, root: cfg.Root}
	n.vswitchd = &unixctl.Client{Rundir: cfg.OVSRundir, Timeout: patience}
	n.ovs, n.silent = n.vswitchd.Call(ctx, "version")
	n.kernel = readKernel(n.root)
	n.config = readKernelConfig(n.root, n.kernel.release)
	n.inventory = readInventory(ctx, cfg.OVSDB)
	n.nics = readNICs(ctx)
	n.processes = readProcesses(n.root)
	n.agent = askAgent(ctx, cfg.Socket)
	return n
}

// readInventory reads the database once.
func readInventory(ctx context.Context, endpoint string) inventory {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	reader, err := ovsdb.New(ovsdb.Config{Endpoint: endpoint})
	if err != nil {
		return inventory{&ovsdb.Snapshot{}, err}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = reader.Run(ctx) // the snapshot says it
	}()
	s, err := reader.Wait(ctx, func(s *ovsdb.Snapshot) bool { return s.Synced || s.Err != nil })
	cancel()
	<-done
	if s.Synced {
		return inventory{s, nil}
	}
	if s.Err != nil {
		err = s.Err
	}
	return inventory{&ovsdb.Snapshot{}, err}
}
