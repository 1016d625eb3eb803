package agent

import (
	"log/slog"
	"sync"
	"time"

	"github.com/flowshunt/flowshunt/pkg/control"
)

// component is the condition of one part of the agent.
type component struct {
	name string
	log  *slog.Logger

	mu     sync.Mutex
	state  control.Component
	logged time.Time
	told   bool // the log has the present failure
}

// maxErrorText bounds what is kept and logged of an error: those of a thousand rules
// can be joined in one.
const maxErrorText = 1 << 10

// logEvery bounds how often one component complains in the log.
const logEvery = 10 * time.Second

func newComponent(name string, log *slog.Logger) *component {
	return &component{name: name, log: log.With("component", name),
		state: control.Component{Name: name, Health: control.HealthStarting, Since: time.Now()}}
}

func (c *component) ok() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state.Health == control.HealthFailed && c.told {
		c.log.Info("recovered")
	}
	c.told = false
	c.set(control.HealthOK)
}

// outcome says how what the component does for a living went.
func (c *component) outcome(err error) {
	if err != nil {
		c.failed(err)
	} else {
		c.ok()
	}
}

// failed says that the component does not work.
func (c *component) failed(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.told = c.complain(err) || c.told
	c.set(control.HealthFailed)
}

// note keeps an error of a component that goes on working.
func (c *component) note(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.complain(err)
}

// complain keeps an error and reports whether the log got it too.
func (c *component) complain(err error) bool {
	text := err.Error()
	if len(text) > maxErrorText {
		text = text[:maxErrorText] + "..."
	}
	c.state.LastError, c.state.LastErrorAt = text, time.Now()
	if time.Since(c.logged) < logEvery {
		return false
	}
	c.logged = time.Now()
	c.log.Warn("trouble", "error", text)
	return true
}

func (c *component) set(h control.Health) {
	if c.state.Health != h {
		c.state.Health, c.state.Since = h, time.Now()
	}
}

func (c *component) get() control.Component {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}
