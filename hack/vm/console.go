package main

import (
	"bytes"
	"context"
	"io"
	"sync"
	"time"
)

// console collects the kernel's log and ends the machine when the kernel died.
// Oopses become panics by the kernel's command line.
type console struct {
	copy io.Writer // also gets the log, if set
	died context.CancelFunc

	mu      sync.Mutex
	all     bytes.Buffer
	panicAt int // offset in all, 0: no panic
}

const maxConsole = 4 << 20

var panicMark = []byte("Kernel panic - not syncing")

func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all.Len()+len(p) > maxConsole {
		c.all.Reset()
	}
	c.all.Write(p)
	if c.copy != nil {
		_, _ = c.copy.Write(p)
	}
	if c.panicAt == 0 {
		if i := bytes.Index(c.all.Bytes(), panicMark); i >= 0 {
			c.panicAt = i + 1
			// QEMU ends by itself (panic=-1 -no-reboot); this is for when it hangs.
			time.AfterFunc(5*time.Second, c.died)
		}
	}
	return len(p), nil
}

func (c *console) panicked() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.panicAt > 0
}

// tail is the last part of the log, for error messages.
func (c *console) tail() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	const n = 6000
	b := c.all.Bytes()
	if len(b) > n {
		b = b[len(b)-n:]
	}
	return bytes.ReplaceAll(b, []byte("\r"), nil)
}
