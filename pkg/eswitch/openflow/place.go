package openflow

import (
	"context"
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"

	"github.com/flowshunt/flowshunt/pkg/eswitch"
	of "github.com/flowshunt/flowshunt/pkg/openflow"
)

// place is where a network device is a port.
type place struct {
	bridge *bridge
	port   uint32 // OpenFlow port
}

// places finds ports for one operation: what it has looked up is asked for once.
type places struct {
	driver *Driver
	ctx    context.Context
	links  map[int32]place
	errs   map[int32]error
	ports  map[*bridge]map[string]uint32
}

func (d *Driver) places(ctx context.Context) *places {
	return &places{driver: d, ctx: ctx, links: make(map[int32]place), errs: make(map[int32]error),
		ports: make(map[*bridge]map[string]uint32)}
}

// of returns where a network device is a port. That there is none is ErrPortGone.
func (p *places) of(link int32) (place, error) {
	at, ok := p.links[link]
	if ok || p.errs[link] != nil {
		return at, p.errs[link]
	}
	at, err := p.find(link)
	if err != nil {
		p.errs[link] = fmt.Errorf("ifindex %d: %w", link, err)
		return at, p.errs[link]
	}
	p.links[link] = at
	return at, nil
}

func (p *places) find(link int32) (place, error) {
	if isTunnelLink(link) {
		at, ok, err := p.ofTunnel(link)
		if err == nil && !ok {
			err = fmt.Errorf("%w: no bridge has that tunnel", eswitch.ErrPortGone)
		}
		return at, err
	}
	dev, err := p.driver.links.LinkByIndex(int(link))
	if notFound := (netlink.LinkNotFoundError{}); errors.As(err, &notFound) {
		return place{}, fmt.Errorf("%w: %w", eswitch.ErrPortGone, err)
	} else if err != nil {
		return place{}, err
	}
	name := dev.Attrs().Name
	if b := p.driver.homeOf(name); b != nil {
		if ports, err := p.read(b); err == nil && ports[name] != 0 {
			return place{b, ports[name]}, nil
		}
	}
	return p.search(name)
}

// search looks for a port in all bridges.
func (p *places) search(name string) (place, error) {
	bridges, err := p.driver.all()
	errs := []error{err}
	for _, b := range bridges {
		ports, err := p.read(b)
		if n := ports[name]; n != 0 {
			p.driver.settle(name, b)
			return place{b, n}, nil
		}
		if err != nil && !errors.Is(err, of.ErrNotRunning) {
			errs = append(errs, fmt.Errorf("bridge %s: %w", b.name, err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return place{}, fmt.Errorf("no bridge that answers has the port %s: %w", name, err)
	}
	return place{}, fmt.Errorf("%w: %s is a port of no bridge", eswitch.ErrPortGone, name)
}

// read returns the ports of a bridge by name.
func (p *places) read(b *bridge) (map[string]uint32, error) {
	if ports, ok := p.ports[b]; ok {
		return ports, nil
	}
	ports := make(map[string]uint32)
	err := b.reads.with(p.ctx, func(c *of.Client) error {
		list, err := c.Ports(p.ctx)
		for _, port := range list {
			ports[port.Name] = port.Number
		}
		return err
	})
	if errors.Is(err, of.ErrVersion) {
		err = fmt.Errorf("%w: %w", eswitch.ErrNotSupported, err)
	}
	if err != nil {
		return nil, err
	}
	p.ports[b] = ports
	return ports, nil
}

// linkOf returns the network device of an OpenFlow port, or what stands for that; 0 for none.
func (p *places) linkOf(b *bridge, port uint32) int32 {
	for link, at := range p.links {
		if at == (place{b, port}) {
			return link
		}
	}
	ports, _ := p.read(b)
	for name, n := range ports {
		if n != port {
			continue
		}
		link := TunnelLink(b.name, n)
		if dev, err := p.driver.links.LinkByName(name); err == nil {
			link = int32(dev.Attrs().Index)
		}
		p.links[link] = place{b, port}
		return link
	}
	return 0
}

func (d *Driver) homeOf(name string) *bridge {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.home[name]
}

func (d *Driver) settle(name string, b *bridge) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.home[name] = b
}
