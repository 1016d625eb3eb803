package openflow

// handle acts on one message.
func (c *conn) handle(m message) error {
	if m.kind == typeError { // may be of another version: OVS answers some in 1.0
		return parseError(c.version, m.body)
	}
	if c.version == 0 {
		return c.greet(m)
	}
	if m.version != c.version {
		return malformed("version of a message")
	}
	switch m.kind {
	case typeEchoRequest:
		return c.send(appendMessage(nil, c.version, typeEchoReply, m.xid, m.body))
	case typeExperimenter:
		c.pauseOrResume(m.body)
	case c.version.multipartRequest() + 1:
		return c.flowUpdates(m)
	case c.version.barrierRequest() + 1:
		return c.confirmed(m)
	case typePortStatus:
		return c.portStatus(m)
	case typeRequestForward:
		if c.version >= OpenFlow14 {
			c.queue.add([]Change{groupOrMeter(m.body)})
		}
	}
	return nil
}

// greet takes the bridge's HELLO and asks for all that is wanted.
func (c *conn) greet(m message) error {
	if m.kind != typeHello {
		return malformed("no hello")
	}
	v, err := negotiate(m, c.config.offer)
	if err != nil {
		return err
	}
	c.version, c.monitor = v, monitorOf(v)
	b := appendSetAsync(nil, v, xidAsync)
	b = appendMessage(b, v, v.multipartRequest(), xidMonitor, c.monitor.request(v))
	return c.send(appendMessage(b, v, v.barrierRequest(), xidBarrier, nil))
}

func (c *conn) flowUpdates(m message) error {
	b, ok := c.monitor.updates(m.body)
	if !ok {
		return malformed("multipart reply")
	}
	if m.xid == xidMonitor {
		c.monitored = true
	}
	var n news
	if err := c.monitor.readUpdates(b, &n); err != nil {
		return err
	}
	c.queue.add(n.changes)
	c.tellPause(n.paused, n.resumed)
	return nil
}

func (c *conn) portStatus(m message) error {
	change, err := parsePortStatus(c.version, m.body)
	if err != nil {
		return err
	}
	c.queue.add([]Change{change})
	return nil
}

// confirmed takes the reply to the barrier: what was asked for before is in force.
func (c *conn) confirmed(m message) error {
	switch {
	case m.xid != xidBarrier || c.ready:
		return nil
	case !c.monitored:
		return malformed("no reply to the flow monitor")
	}
	c.ready = true
	if !c.paused {
		c.queue.watch()
	}
	return c.wait(c.config.Idle)
}

// pauseOrResume takes an experimenter's message; those of others are ignored.
func (c *conn) pauseOrResume(b []byte) {
	c.tellPause(c.monitor.isVendor(b, c.monitor.paused), c.monitor.isVendor(b, c.monitor.resumed))
}

// tellPause tells of a pause. At its end flows may be gone that were added during
// it, and that nobody told of: the doubt begins anew.
func (c *conn) tellPause(paused, resumed bool) {
	if paused || resumed {
		c.paused = !resumed
		c.queue.lose(ErrPaused)
	}
	if resumed && c.ready {
		c.queue.watch()
	}
}
