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
}

// logEvery bounds how often one component complains in the log.
const logEvery = 10 * time.Second

func newComponent(name string, log *slog.Logger) *component {
	return &component{name: name, log: log.With("component", name),
		state: control.Component{Name: name, Health: control.HealthStarting, Since: time.Now()}}
}

func (c *component) ok() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state.Health == control.HealthFailed {
		c.log.Info("recovered")
	}
	c.set(control.HealthOK)
}

// failed says that the component does not work.
func (c *component) failed(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.complain(err)
	c.set(control.HealthFailed)
}

// note keeps an error of a component that goes on working.
func (c *component) note(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.complain(err)
}

func (c *component) complain(err error) {
	c.state.LastError, c.state.LastErrorAt = err.Error(), time.Now()
	if time.Since(c.logged) >= logEvery {
		c.logged = time.Now()
		c.log.Warn("trouble", "error", err)
	}
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
