package dbctl

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Line is a command line: global options, and a batch.
type Line struct {
	Globals []Given
	Calls   []*Call
}

// Given is an option that was given.
type Given struct{ Name, Value string }

// ParseLine reads [GLOBAL OPTIONS] [--] [OPTIONS] COMMAND [ARG]... [-- [OPTIONS] COMMAND [ARG]...]...
// Before the first command global options may be mixed with its own, and the names of both cut
// short. Everything after a command's name and up to -- is an argument.
func ParseLine(args []string, globals []Option, commands []*Command) (*Line, error) {
	p := &lineParser{globals: globals, commands: commands, line: &Line{}}
	rest, first, err := p.start(args)
	if err != nil {
		return nil, err
	}
	for len(rest) > 0 {
		end := slices.Index(rest, "--")
		if end < 0 {
			end = len(rest)
		}
		if end > 0 {
			if err := p.call(rest[:end], first); err != nil {
				return nil, err
			}
			first = nil
		}
		rest = rest[min(end+1, len(rest)):]
	}
	if len(p.line.Calls) == 0 {
		return nil, errors.New("there is no command")
	}
	return p.line, nil
}

// FirstCommand returns the name of the first command of a command line and what follows it, as far as can be told
// without knowing that command; "" if there is none; and the global options before it.
func FirstCommand(args []string, globals []Option, commands []*Command) (name string, rest []string, given []Given) {
	p := &lineParser{globals: globals, commands: commands, line: &Line{}}
	rest, _, err := p.start(args)
	for err != nil && len(rest) > 0 { // what is wrong is said by who parses it
		rest, _, err = p.start(rest)
	}
	for i, word := range rest {
		if !strings.HasPrefix(word, "-") {
			return word, rest[i+1:], p.line.Globals
		}
	}
	return "", nil, p.line.Globals
}

type lineParser struct {
	globals  []Option
	commands []*Command
	line     *Line
}

// start reads the options before the first command. Those that are not global are its own.
func (p *lineParser) start(args []string) (rest []string, own []Given, err error) {
	for len(args) > 0 {
		arg := args[0]
		if len(arg) < 2 || arg[0] != '-' {
			return args, own, nil
		}
		args = args[1:]
		var given []Given
		switch {
		case arg == "--":
			return args, own, nil
		case arg[1] == '-':
			args, err = p.long(arg[2:], args, &own)
		default:
			given, args, err = p.short(arg[1:], args)
			p.line.Globals = append(p.line.Globals, given...)
		}
		if err != nil {
			return args, own, err
		}
	}
	return nil, own, nil
}

// long reads an option with a name, whose value may be the next argument.
func (p *lineParser) long(text string, args []string, own *[]Given) (rest []string, err error) {
	name, value, hasValue := strings.Cut(text, "=")
	o, global, err := p.find(name)
	if err != nil {
		return args, err
	}
	switch {
	case o.Value == "" && hasValue:
		return args, fmt.Errorf("--%s takes no value", o.Name)
	case o.Value != "" && !hasValue:
		if len(args) == 0 {
			return args, fmt.Errorf("--%s needs a value", o.Name)
		}
		value, args = args[0], args[1:]
	}
	if global {
		p.line.Globals = append(p.line.Globals, Given{o.Name, value})
	} else if !slices.ContainsFunc(*own, func(g Given) bool { return g.Name == o.Name }) {
		*own = append(*own, Given{o.Name, value})
	}
	return args, nil
}

// find finds an option of the first command, or a global one, by its name or the beginning of it.
func (p *lineParser) find(name string) (o Option, global bool, err error) {
	var several []string
	consider := func(candidate Option, isGlobal bool) (exact bool) {
		if strings.HasPrefix(candidate.Name, name) && !slices.Contains(several, candidate.Name) {
			o, global = candidate, isGlobal
			several = append(several, candidate.Name)
		}
		return candidate.Name == name
	}
	for _, candidate := range p.globals {
		if consider(candidate, true) {
			return candidate, true, nil
		}
	}
	for _, command := range p.commands {
		for _, candidate := range command.Options {
			if consider(candidate, false) {
				return candidate, false, nil
			}
		}
	}
	switch len(several) {
	case 0:
		return o, false, fmt.Errorf("there is no option --%.64s", name)
	case 1:
		return o, global, nil
	}
	return o, false, fmt.Errorf("--%.64s can be --%s", name, strings.Join(several, ", --"))
}

// short reads options of one letter: several without values, or one with its value behind it.
func (p *lineParser) short(letters string, args []string) (given []Given, rest []string, err error) {
	for i := range len(letters) {
		at := slices.IndexFunc(p.globals, func(o Option) bool { return o.Short == letters[i] })
		if at < 0 {
			return nil, args, fmt.Errorf("there is no option -%.4q", letters[i])
		}
		o := p.globals[at]
		if o.Value == "" {
			given = append(given, Given{Name: o.Name})
			continue
		}
		value := letters[i+1:]
		if value == "" {
			if len(args) == 0 {
				return nil, args, fmt.Errorf("-%c needs a value", letters[i])
			}
			value, args = args[0], args[1:]
		}
		return append(given, Given{o.Name, value}), args, nil
	}
	return given, args, nil
}

// call reads the options, the name and the arguments of a command.
func (p *lineParser) call(words []string, own []Given) error {
	n := slices.IndexFunc(words, func(w string) bool { return !strings.HasPrefix(w, "-") })
	if n < 0 {
		return fmt.Errorf("there is no command after %.200s", strings.Join(words, " "))
	}
	at := slices.IndexFunc(p.commands, func(c *Command) bool { return c.Name == words[n] })
	if at < 0 {
		return fmt.Errorf("there is no database command %.64q", words[n])
	}
	c := &Call{Command: p.commands[at], Options: map[string]string{}, Args: words[n+1:]}
	for _, g := range own {
		if err := c.take(g.Name, g.Value, g.Value != ""); err != nil {
			return err
		}
	}
	for _, word := range words[:n] {
		name, value, hasValue := strings.Cut(strings.TrimPrefix(word, "--"), "=")
		if err := c.take(name, value, hasValue); err != nil {
			return err
		}
	}
	if c.Command.Mixed {
		if err := c.unmix(); err != nil {
			return err
		}
	}
	p.line.Calls = append(p.line.Calls, c)
	return c.check()
}

// unmix takes the options from among the arguments.
func (c *Call) unmix() error {
	words := c.Args
	c.Args = nil
	for len(words) > 0 {
		word := words[0]
		words = words[1:]
		text, isOption := strings.CutPrefix(word, "--")
		if !isOption {
			c.Args = append(c.Args, word)
			continue
		}
		name, value, hasValue := strings.Cut(text, "=")
		if o := c.Command.option(name); o != nil && o.Value != "" && !hasValue && len(words) > 0 {
			value, hasValue, words = words[0], true, words[1:]
		}
		if err := c.take(name, value, hasValue); err != nil {
			return err
		}
	}
	return nil
}

// take notes an option of a call.
func (c *Call) take(name, value string, hasValue bool) error {
	o := c.Command.option(name)
	switch {
	case o == nil:
		return fmt.Errorf("%s has no option --%.64s", c.Command.Name, name)
	case c.Has(name):
		return fmt.Errorf("--%s is given twice", name)
	case o.Value == "" && hasValue:
		return fmt.Errorf("--%s of %s takes no value", name, c.Command.Name)
	case o.Value != "" && !hasValue:
		return fmt.Errorf("--%s of %s needs a value: --%[1]s=%[3]s", name, c.Command.Name, o.Value)
	}
	c.Options[name] = value
	return nil
}
